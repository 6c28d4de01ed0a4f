"""Runs every setting that is not on disk yet, one file of samples per setting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Event, Lock
from typing import Protocol

from benchmark.engine.scoring import Scorer
from benchmark.engine.threads import run_side_by_side, termination_interrupts
from benchmark.engine.worker import worker_for
from benchmark.models import OwnModel
from benchmark.models.interface import Answered, AnswerOptions, BenchmarkModel, Sample
from benchmark.protocol.method import Method
from benchmark.protocol.questions import Row
from benchmark.protocol.settings import RunSettings
from benchmark.protocol.user_code import as_user_code
from benchmark.store.runs import RunStore


class Stopped(Exception):
    """The run was asked to stop before it was complete."""


@dataclass(frozen=True, slots=True)
class Job:
    """The settings of one model and task that remain to be run."""

    model: BenchmarkModel
    task: str
    rows: list[Row]
    max_new_tokens: int
    pending: list[Method]


class Progress(Protocol):
    """Is told how a run goes, by one thread at a time."""

    def samples_done(self, job: Job, answered: Answered) -> None:
        """Some questions have been answered under one method; their samples have no scores yet."""
        ...

    def setting_done(self, job: Job, method: Method, samples: list[Sample]) -> None:
        """All questions have been answered under a method; the samples are scored and on disk."""
        ...

    def notice(self, line: str) -> None:
        """Something that the user should know, and that stops nothing."""
        ...


class Runner:
    """Runs one benchmark run into its store.

    Models that are `concurrent` answer their tasks side by side. The others have the device to themselves: they are
    loaded one after the other, and each does one task after the other.

    Args:
        settings: what to run.
        store: where results go; the caller holds its lock.
        rows: task → its rows.
        models: the models of the settings, in their order.
        batch_size: rows per forward pass; does not change the results. None: as many as each model has memory for.
        workers: tasks answered at the same time, each in a thread of its own; by default as many as torch has threads.
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
    ) -> None:
        self.settings = settings
        self.store = store
        self.rows = rows
        self.models = list(models)
        self.batch_size = batch_size
        self.workers = workers
        self.scorer = Scorer()
        self._answering = {model.name: worker_for(model) for model in self.models}
        self._stop = Event()
        self._reporting = Lock()

    def jobs(self) -> tuple[list[Job], dict[str, int]]:
        """What remains to be run, the longest jobs first, and per task how many settings were finished before."""
        jobs: list[Job] = []
        finished = dict.fromkeys(self.settings.tasks, 0)
        for model in self.models:
            for task in self.settings.tasks:
                rows = self.rows[task]
                ids = [row["id"] for row in rows]
                wanted = self.settings.methods_of(model.name, task)
                pending = [method for method in wanted if not self.store.has_samples(model.name, task, method, ids)]
                finished[task] += len(wanted) - len(pending)
                if pending:
                    jobs.append(Job(model, task, rows, self.settings.new_tokens(model, task, rows), pending))
        jobs.sort(key=lambda job: -job.max_new_tokens * len(job.pending))
        return jobs, finished

    def run(self, jobs: Sequence[Job], progress: Progress) -> None:
        """Run the jobs; on Ctrl-C, or SIGTERM, every setting that is finished stays on disk.

        Raises:
            KeyboardInterrupt: the run was interrupted.
            ValueError: a model cannot do a task, or a scheduler refuses its input.
            OSError: what the scores of a text task take is not installed or cannot be reached; nothing is decoded then.
        """
        with termination_interrupts():
            self._prepare_texts({job.task for job in jobs})
            self._run(jobs, progress)

    def _run(self, jobs: Sequence[Job], progress: Progress) -> None:
        def work(job: Job) -> None:
            self._run_job(job, progress)

        together = [job for job in jobs if job.model.concurrent]
        run_side_by_side(together, work, self._stop, workers=self.workers)
        for model in self.models:
            alone = [job for job in jobs if job.model is model and not model.concurrent]
            try:
                run_side_by_side(alone, work, self._stop, workers=1)
            finally:
                model.release()

    def _prepare_texts(self, tasks: Iterable[str]) -> None:
        """Start and load what scores text, so that what is missing is said before hours of decoding, not after."""
        import hub_dataset

        # All rows of a task are scored alike.
        references = [
            self.rows[task][0]["reference"] for task in tasks if hub_dataset.task_info(task).task_type.is_text
        ]
        if references:
            self.scorer.prepare(references)

    def _run_job(self, job: Job, progress: Progress) -> None:
        used = isinstance(job.model, OwnModel) or any(":" in method.name for method in job.pending)
        with as_user_code(used, f"{job.model.name} on {job.task}"):
            self._answer(job, progress)

    def _answer(self, job: Job, progress: Progress) -> None:
        def notice(line: str) -> None:
            with self._reporting:
                progress.notice(line)

        options = AnswerOptions(
            max_new_tokens=job.max_new_tokens,
            temperature=self.settings.temperature,
            seed=self.settings.seed,
            batch_size=self.batch_size,
            check_stop=self._check_stop,
            notice=notice,
        )
        # The answers to all rows, in their order, None where there is none yet.
        missing: dict[Method, dict[str, Sample | None]] = {
            method: {row["id"]: None for row in job.rows} for method in job.pending
        }
        try:
            for answered in self._answering[job.model.name].answers(job.rows, job.pending, options):
                with self._reporting:
                    progress.samples_done(job, answered)
                of_rows = missing.get(answered.method, {})
                for sample in answered.samples:
                    if of_rows.get(sample["id"], sample) is not None:
                        raise ValueError(f"{sample['id']} was answered twice under {answered.method}, or was not asked")
                    of_rows[sample["id"]] = sample
                samples = [sample for sample in of_rows.values() if sample is not None]
                if len(samples) == len(job.rows):
                    del missing[answered.method]
                    self._finish(job, answered.method, samples, progress)
            if missing:
                raise ValueError(f"not all questions were answered under {', '.join(map(str, missing))}")
        except Stopped:
            return
        except ValueError as error:
            raise ValueError(f"{job.model.name} on {job.task}: {error}") from error

    def _finish(self, job: Job, method: Method, samples: list[Sample], progress: Progress) -> None:
        """Score the samples of a setting and bring them to disk."""
        scored, signatures = self.scorer.score(job.rows, samples)
        self.store.write_samples(job.model.name, job.task, method, scored, signatures)
        with self._reporting:
            progress.setting_done(job, method, scored)

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped
