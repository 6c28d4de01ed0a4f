"""Runs every setting that is not on disk yet, one file of samples for each setting and seed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from threading import Event, Lock
from typing import Any

from benchmark.engine.collecting import Collector, JobAnswers, Progress
from benchmark.engine.crew import Crew
from benchmark.engine.later import Later
from benchmark.engine.planning import Job, Plan, Planner
from benchmark.engine.scoring import Scorer, is_text, metric_version
from benchmark.engine.threads import Stopped, run_side_by_side, termination_interrupts
from benchmark.engine.worker import worker_for
from benchmark.models import runs_user_code
from benchmark.models.interface import AnswerOptions, BenchmarkModel
from benchmark.protocol.questions import Row
from benchmark.protocol.settings import RunSettings
from benchmark.protocol.user_code import as_user_code
from benchmark.store.runs import RunStore
from benchmark.store.sharing import ResultsFolder

# How often a run looks whether another one has finished what it waits for.
_LOOK_AGAIN_SECONDS = 1.0


class Runner:
    """Runs one benchmark run into its store.

    Models that are `concurrent` answer their tasks side by side. The others have the device to themselves: they are
    loaded one after the other, and each does one task after the other. What a crew of worker processes can do is left
    to them; this process alone writes.

    Args:
        settings: what to run.
        store: where results go; the caller holds its lock.
        rows: task → its rows.
        models: the models of the settings, in their order.
        batch_size: rows per forward pass; does not change the results. None: as many as each model has memory for.
        workers: tasks answered at the same time, each in a thread of its own; by default as many as torch has threads.
        sharing, memory: as in `AnswerOptions`.
        reuse: whether to take samples from other runs of the same folder.
        crew: worker processes that answer in place of this one; None: there are none.
    """

    def __init__(
        self,
        settings: RunSettings,
        store: RunStore,
        rows: dict[str, list[Row]],
        models: Sequence[BenchmarkModel],
        *,
        batch_size: int | None = None,
        workers: int | None = None,
        sharing: bool = True,
        memory: float | None = None,
        reuse: bool = True,
        crew: Crew | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.rows = rows
        self.models = list(models)
        self.batch_size = batch_size
        self.workers = workers
        self.sharing = sharing
        self.memory = memory
        self.crew = crew
        self.scorer = Scorer()
        folder = ResultsFolder(store) if reuse else None
        self._metric = metric_version()
        self._planner = Planner(settings, store, rows, self._metric, folder)
        self._answering = {model.name: worker_for(model) for model in self.models}
        self._stop = Event()
        self._reporting = Lock()

    def plan(self) -> Plan:
        """What remains to be run; what other runs have already is on disk afterwards."""
        return self._planner.plan(self.models)

    def run(self, plan: Plan, progress: Progress) -> None:
        """Do what a plan says; on Ctrl-C, or SIGTERM, every answer that was given stays on disk.

        Settings that another run decodes are waited for last, and done here if that run ends without them.

        Raises:
            KeyboardInterrupt: the run was interrupted.
            ValueError: a model cannot do a task, or a scheduler refuses its input.
            OSError: what the scores of a text task take is not installed or cannot be reached; nothing is decoded then.
        """
        with termination_interrupts():
            self._prepare_texts({job.task for job in plan.all_jobs})
            try:
                self._run(plan.jobs, progress)
                self._wait(plan.awaited, progress)
                self._repeat(plan.repeats, progress)
            finally:
                if self.crew is not None:
                    self.crew.stop()

    def _run(self, jobs: Sequence[Job], progress: Progress) -> None:
        collector = self._collector(progress)

        sent = [job for job in jobs if self.crew is not None and job.model.name in self.crew.setup.models and job.asked]
        here = [job for job in jobs if not any(job is one for one in sent)]
        together = [job for job in here if job.model.concurrent]
        run_side_by_side(together, lambda job: self._run_job(job, collector), self._stop, workers=self.workers)
        # What scores a setting has a thread of its own beside a model that has the device to itself.
        with Later() as later:
            for model in self.models:
                alone = [job for job in here if job.model is model and not model.concurrent]
                try:
                    run_side_by_side(alone, lambda job: self._run_job(job, collector, later), self._stop, workers=1)
                finally:
                    if alone:
                        model.release()
        if self.crew is not None and sent:
            self.crew.run(_by_model(sent, self.models), collector, self._how())

    def _collector(self, progress: Progress) -> Collector:
        return Collector(self.store, self.scorer, self._metric, self._planner.checksum, progress, self._reporting)

    def _how(self) -> dict[str, Any]:
        """What holds for the answers to all questions."""
        return {
            "temperature": self.settings.temperature,
            "batch_size": self.batch_size,
            "sharing": self.sharing,
            "memory": self.memory,
        }

    def _wait(self, awaited: Mapping[Path, Sequence[Job]], progress: Progress) -> None:
        """Take what other runs finish, until there is nothing left to wait for."""
        waiting = [job for jobs in awaited.values() for job in jobs]
        taken: Counter[Path] = Counter()
        here = 0
        for directory, jobs in awaited.items():
            count = sum(len(job.pending) for job in jobs)
            progress.notice(f"{directory} decodes {count} of these settings now; waiting for it")
        while waiting:
            remaining: list[Job] = []
            for job in waiting:
                now = self._planner.again(job)
                left = now.all_jobs
                for method in job.pending:
                    if not any(method in one.pending for one in left):
                        found = self.store.read_samples(job.model.name, job.task, method, job.seed)
                        progress.setting_done(job, method, found)  # type: ignore[arg-type]
                taken += now.taken
                here += sum(len(one.pending) for one in now.jobs)
                self._run(now.jobs, progress)
                remaining += [one for jobs in now.awaited.values() for one in jobs]
            waiting = remaining
            if waiting:
                time.sleep(_LOOK_AGAIN_SECONDS)
        for directory, count in taken.items():
            progress.notice(f"{count} of the awaited settings were taken from {directory}")
        if here:
            progress.notice(f"{here} of the awaited settings were decoded here: the other run ended without them")

    def _repeat(self, repeats: Sequence[Job], progress: Progress) -> None:
        """Give settings that draw no noise the samples of the seed that was decoded."""
        for job in repeats:
            for method in job.pending:
                samples = self._planner.repeat(job, method)
                if samples is not None:
                    progress.setting_done(job, method, samples)

    def _prepare_texts(self, tasks: Iterable[str]) -> None:
        """Start and load what scores text, so that what is missing is said before hours of decoding, not after."""
        for task in tasks:
            references = [row["reference"] for row in self.rows[task] if is_text(row["reference"])]
            if references:
                self.scorer.prepare(task, references)

    def _run_job(self, job: Job, collector: Collector, later: Later | None = None) -> None:
        with as_user_code(runs_user_code(job.model, job.pending), f"{job.model.name} on {job.task}"):
            self._answer(job, collector, later)

    def _answer(self, job: Job, collector: Collector, later: Later | None) -> None:
        options = AnswerOptions(
            max_new_tokens=job.max_new_tokens,
            seed=job.seed,
            **self._how(),
            check_stop=self._check_stop,
            notice=collector.notice,
            counted=lambda states, passes: collector.counted(job, states, passes),
        )
        answers = JobAnswers(job, collector, later)
        told = self._answering[job.model.name].answers(job.asked, job.pending, options) if job.asked else iter(())
        try:
            if not job.asked:
                # These lack nothing but scores.
                answers.finish_known()
                return
            for answered in told:
                answers.take(answered)
                if later is not None:
                    later.check()
            if answers.unfinished:
                raise ValueError(f"not all questions were answered under {', '.join(map(str, answers.unfinished))}")
        except Stopped:
            return
        except ValueError as error:
            raise ValueError(f"{job.model.name} on {job.task}: {error}") from error
        finally:
            # Whatever ended it, nothing more is asked.
            if isinstance(told, Generator):
                told.close()

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped


def _by_model(jobs: Sequence[Job], models: Sequence[BenchmarkModel]) -> list[list[Job]]:
    """Jobs that are done side by side: those of concurrent models, and those of each of the others."""
    groups = [[job for job in jobs if job.model.concurrent]]
    groups += [[job for job in jobs if job.model is model and not model.concurrent] for model in models]
    return [group for group in groups if group]
