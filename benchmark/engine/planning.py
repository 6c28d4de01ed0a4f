"""What remains to be run: every setting against the samples that this run, or another one beside it, has already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.engine.noise import seed_matters
from benchmark.models.interface import BenchmarkModel, Sample
from benchmark.protocol.method import Method
from benchmark.protocol.questions import Row, question_checksum
from benchmark.protocol.settings import RunSettings
from benchmark.store.runs import RunStore
from benchmark.store.sample_files import SampleFile
from benchmark.store.sharing import OtherRun, ResultsFolder


@dataclass(frozen=True, slots=True)
class Job:
    """Settings of one model, task and seed that lack answers to the same questions.

    Attributes:
        rows: all questions of the task.
        asked: those that are to be answered; none where there are answers that only lack scores.
        pending: the methods under which they are.
        known: method → id → answers that are there already; those without scores are to be scored.
    """

    model: BenchmarkModel
    task: str
    rows: list[Row]
    max_new_tokens: int
    pending: list[Method]
    seed: int = 0
    asked: list[Row] = field(default_factory=list)
    known: dict[Method, dict[str, Sample]] = field(default_factory=dict)


@dataclass(slots=True)
class Plan:
    """What a run has to do.

    Attributes:
        jobs: the longest first; those of one model and task next to each other, seed after seed.
        finished: task → settings that are done.
        taken: directory of another run → settings that were taken from there, and are now on disk here.
        outdated: what changed since samples were written that count no longer, a line each.
        awaited: directory of another run → jobs with the settings that it decodes, having begun before.
        repeats: jobs with settings that another seed of theirs will have the samples of, since these draw no noise;
            they ask nothing.
    """

    jobs: list[Job] = field(default_factory=list)
    finished: dict[str, int] = field(default_factory=dict)
    taken: Counter[Path] = field(default_factory=Counter)
    outdated: Counter[str] = field(default_factory=Counter)
    awaited: dict[Path, list[Job]] = field(default_factory=dict)
    repeats: list[Job] = field(default_factory=list)

    @property
    def all_jobs(self) -> list[Job]:
        """The jobs, behind them those that are awaited, and what repeats them."""
        return [*self.jobs, *(job for jobs in self.awaited.values() for job in jobs), *self.repeats]

    @property
    def kept_answers(self) -> int:
        """How many answers there are of settings that lack others."""
        return sum(len(known) for job in self.all_jobs for known in job.known.values())

    @property
    def settings(self) -> int:
        """How many settings there are, done or not."""
        return sum(self.finished.values()) + sum(len(job.pending) for job in self.all_jobs)


class Planner:
    """Finds out what remains to be run, and takes what other runs in the folder have.

    Args:
        settings: of the run.
        store: of the run; the caller holds its lock.
        rows: task → its questions.
        metric: what tells the metric of this installation from others: scores of another are given anew.
        folder: where other runs lie; None: nothing is taken from others.
    """

    def __init__(
        self,
        settings: RunSettings,
        store: RunStore,
        rows: dict[str, list[Row]],
        metric: str,
        folder: ResultsFolder | None,
    ) -> None:
        self._settings, self._store, self._rows, self._metric, self._folder = settings, store, rows, metric, folder
        self._devices_taken: set[tuple[str, Path]] = set()
        self._checksums = {
            task: {row["id"]: question_checksum(row) for row in of_task} for task, of_task in rows.items()
        }

    def checksum(self, task: str, question_id: str) -> str:
        """What tells a question of a task from others of its id."""
        return self._checksums[task][question_id]

    def plan(self, models: Sequence[BenchmarkModel]) -> Plan:
        """What these models have to do."""
        found = Plan(finished=dict.fromkeys(self._settings.tasks, 0))
        earlier = [] if self._folder is None else self._folder.begun_before()
        for model in models:
            for task in self._settings.tasks:
                wanted = self._settings.methods_of(model.name, task)
                decoded = self._decoded_seeds(model, task, wanted)
                for seed in self._settings.seeds:
                    own = [method for method in wanted if decoded.get(method, seed) == seed]
                    self._add(found, model, task, seed, own, earlier)
                for seed in self._settings.seeds:
                    self._add_repeats(found, model, task, seed, {m: at for m, at in decoded.items() if at != seed})
        longest: dict[tuple[str, str], int] = {}
        for job in found.jobs:
            key, size = (job.model.name, job.task), job.max_new_tokens * len(job.pending) * len(job.asked)
            longest[key] = max(size, longest.get(key, 0))
        # They were found seed after seed, and the sort keeps that.
        found.jobs.sort(key=lambda job: -longest[job.model.name, job.task])
        return found

    def repeat(self, job: Job, method: Method) -> list[Sample] | None:
        """Write a setting's samples as those of another seed, which draws no noise either; None if there are none."""
        (source,) = self._decoded_seeds(job.model, job.task, [method]).values()
        file = self._store.find_file(job.model.name, job.task, method, source)
        if file is None or not self._is_finished(job.model.name, job.task, method, source):
            return None
        rows, signatures = file.rows, file.signatures
        key = job.model.name, job.task, method
        self._store.write_samples(*key, rows, signatures, seed=job.seed, metric=file.metric)
        return rows  # type: ignore[return-value]

    def _decoded_seeds(self, model: BenchmarkModel, task: str, methods: Iterable[Method]) -> dict[Method, int]:
        """Methods that draw no noise → the one seed that they are decoded with, where there are several."""
        seeds = self._settings.seeds
        if len(seeds) == 1:
            return {}
        quiet = [method for method in methods if not seed_matters(model, method, self._settings.temperature)]
        return {
            method: next((seed for seed in seeds if self._is_finished(model.name, task, method, seed)), seeds[0])
            for method in quiet
        }

    def _add_repeats(
        self, plan: Plan, model: BenchmarkModel, task: str, seed: int, decoded: Mapping[Method, int]
    ) -> None:
        """What waits for nothing but another seed of the same setting; done at once where that is finished."""
        rows = self._rows[task]
        job = Job(model, task, rows, self._settings.new_tokens(model, task, rows), [], seed)
        for method in decoded:
            if self._is_finished(model.name, task, method, seed) or self.repeat(job, method) is not None:
                plan.finished[task] += 1
            else:
                job.pending.append(method)
        if job.pending:
            plan.repeats.append(job)

    def again(self, job: Job) -> Plan:
        """What of a job's settings remains now."""
        found = Plan(finished={job.task: 0})
        earlier = [] if self._folder is None else self._folder.begun_before()
        self._add(found, job.model, job.task, job.seed, job.pending, earlier)
        return found

    def _add(
        self,
        plan: Plan,
        model: BenchmarkModel,
        task: str,
        seed: int,
        methods: Iterable[Method],
        earlier: Sequence[OtherRun],
    ) -> None:
        rows, groups = self._rows[task], dict[tuple[Path | None, tuple[str, ...]], Job]()
        for method in methods:
            if self._is_finished(model.name, task, method, seed):
                plan.finished[task] += 1
                continue
            known = self._known(plan, model.name, task, method, seed)
            asked = [row for row in rows if row["id"] not in known]
            if not asked and all("scores" in sample for sample in known.values()):
                # Another run had all of it, and it stands here now.
                plan.finished[task] += 1
                continue
            elsewhere = self._decoded_elsewhere(earlier, (model.name, task, method), seed) if asked else None
            key = elsewhere, tuple(row["id"] for row in asked)
            if key not in groups:
                tokens = self._settings.new_tokens(model, task, rows)
                groups[key] = Job(model, task, rows, tokens, [], seed, asked)
                (plan.jobs if elsewhere is None else plan.awaited.setdefault(elsewhere, [])).append(groups[key])
            groups[key].pending.append(method)
            groups[key].known[method] = known

    def _is_finished(self, model: str, task: str, method: Method, seed: int) -> bool:
        file = self._store.find_file(model, task, method, seed)
        if file is None or (file.metric not in (None, self._metric)):
            return False
        found = self._answers(task, file.rows)
        return all(row["id"] in found for row in self._rows[task])

    def _known(self, plan: Plan, model: str, task: str, method: Method, seed: int) -> dict[str, Sample]:
        """Answers that are there, from this run's own files or from those of others; of a whole set, a file is made."""
        store = self._store
        own = store.find_file(model, task, method, seed, any_origin=True)
        origin = store.origin(model, task, method)
        before = own.origin if own is not None and own.origin != origin else {}
        if before:
            own = None
        found: dict[str, Sample] = {}
        files: list[tuple[Path | None, SampleFile]] = [(None, own)] if own is not None else []
        if self._folder is not None:
            others, changed = self._folder.find_files(model, task, method, seed)
            before = before or ({} if files else changed)
            files += others
        ids = [row["id"] for row in self._rows[task]]
        for directory, file in files:
            scored = file.metric == self._metric
            answers = self._answers(task, file.rows)
            new = {name: answers[name] for name in ids if name in answers and name not in found}
            if new and directory is not None:
                self._take_devices(model, directory)
            if scored and len(new) == len(ids):
                rows = [new[name] for name in ids]
                store.write_samples(model, task, method, rows, file.signatures, seed=seed, metric=file.metric)
                if directory is not None:
                    plan.taken[directory] += 1
                return new
            found |= new if scored else {name: _without_scores(sample) for name, sample in new.items()}
        plan.outdated.update(changes(before, origin, model) if before else ())
        # The journal is last: what stands there has no scores yet.
        kept = self._answers(task, store.kept_answers(model, task, method, seed))
        # What was scored apart is scored again as one, so that signatures hold for all of a file.
        return {name: _without_scores(sample) for name, sample in (kept | found).items() if name in ids}

    def _take_devices(self, model: str, directory: Path) -> None:
        """Note what answers of another run were decoded on."""
        if (model, directory) not in self._devices_taken:
            self._devices_taken.add((model, directory))
            for device in RunStore(directory).read_settings().get("devices", {}).get(model, ()):
                self._store.add_devices({model: device})

    def _answers(self, task: str, rows: Iterable[dict[str, Any]]) -> dict[str, Sample]:
        """Id → sample, of those that answer a question of this run."""
        checksums = self._checksums[task]
        return {
            row["id"]: row  # type: ignore[misc]
            for row in rows
            if "error" not in row and row.get("question_checksum") == checksums.get(row["id"], "")
        }

    def _decoded_elsewhere(self, earlier: Sequence[OtherRun], key: tuple[str, str, Method], seed: int) -> Path | None:
        origin = self._store.origin(*key)
        return next((other.store.directory for other in earlier if other.asks_for(key, seed, origin)), None)


def changes(before: dict[str, Any], now: dict[str, Any], model: str) -> list[str]:
    """What makes one origin another, in words."""
    there, here = _flat(before, model), _flat(now, model)
    return [
        f"{what} has changed ({_brief(there.get(what))} before, {_brief(here.get(what))} now)"
        for what in dict.fromkeys([*here, *there])
        if there.get(what) != here.get(what)
    ]


def _flat(origin: dict[str, Any], model: str) -> dict[str, Any]:
    """Origin as facts, by how a message names them."""
    facts: dict[str, Any] = {}
    for key, value in origin.items():
        if key == "scheduler":
            facts |= {f"the source of {module}": digest for module, digest in value.items()}
        elif key == "model":
            of_model = {part: entry for part, entry in value.items() if part != "source"}
            facts |= {f"{part} of {model}": entry for part, entry in of_model.items()}
            facts |= {f"the source of {module}": digest for module, digest in value.get("source", {}).items()}
        else:
            facts[{"new_tokens": "the number of new tokens", "parallelbench": "the version"}.get(key, key)] = value
    return facts


def _brief(value: Any) -> str:
    return "none" if value is None else str(value)


def _without_scores(sample: Sample) -> Sample:
    return {key: value for key, value in sample.items() if key != "scores"}  # type: ignore[return-value]
