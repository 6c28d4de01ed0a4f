"""Runs every setting that is not on disk yet, one file of samples per setting."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from threading import Event, Lock
from typing import Any, Protocol

from benchmark.engine.decoding import Notice, TaskDecoder
from benchmark.models import BenchmarkModel
from benchmark.protocol.method import Method
from benchmark.protocol.questions import Row
from benchmark.protocol.settings import RunSettings
from benchmark.store.runs import RunStore
from hub_dataset.parts import METRIC


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

    def setting_done(self, job: Job) -> None:
        """Another setting of the job is on disk."""
        ...

    def batch_done(self, job: Job, rows: int, tokens: int, seconds: float) -> None:
        """Some rows of a setting have been decoded, `tokens` tokens in all."""
        ...

    def notice(self, line: str) -> None:
        """Something that the user should know, and that stops nothing."""
        ...


class Runner:
    """Runs one benchmark run into its store.

    Models that are `concurrent` decode their tasks side by side. The others have the device to themselves: they are
    loaded one after the other, and each does one task after the other.

    Args:
        settings: what to run.
        store: where results go; the caller holds its lock.
        rows: task → its rows.
        models: the models of the settings, in their order.
        batch_size: rows per forward pass; does not change the results. None: as many as each model has memory for.
        workers: tasks decoded at the same time, each in a thread of its own; by default as many as torch has threads.
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
        self._stop = Event()
        self._scoring = Lock()
        self._reporting = Lock()
        self._metric: Any = None
        # What a model came down to when memory ran out on an earlier task.
        self._fitting: dict[str, int] = {}

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
        """Run the jobs; on Ctrl-C every setting that is finished stays on disk.

        Raises:
            KeyboardInterrupt: the user interrupted the run.
            ValueError: a model cannot do a task, or a scheduler refuses its input.
            OSError: what the scores of a text task take is not installed or cannot be reached; nothing is decoded then.
        """
        import torch

        self._prepare_texts({job.task for job in jobs})
        threads = torch.get_num_threads()
        together = [job for job in jobs if job.model.concurrent]
        self._run_side_by_side(together, progress, min(self.workers or threads, len(together)))
        for model in self.models:
            alone = [job for job in jobs if job.model is model and not model.concurrent]
            try:
                self._run_side_by_side(alone, progress, min(1, len(alone)))
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
            self._metric = load_metric()
            self._metric.prepare(references)

    def _run_side_by_side(self, jobs: Sequence[Job], progress: Progress, workers: int) -> None:
        if not jobs:
            return
        import torch

        threads = torch.get_num_threads()
        # One thread per task beats several threads per operation: the tensors are small.
        torch.set_num_threads(max(1, threads // workers))
        try:
            # Threads even for one job at a time: the main thread is free for Ctrl-C then.
            with ThreadPoolExecutor(workers) as pool:
                futures = [pool.submit(self._run_job, job, progress) for job in jobs]
                try:
                    waiting = set(futures)
                    while waiting:
                        done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                        for future in done:
                            future.result()
                except BaseException:
                    self._stop.set()
                    for future in futures:
                        future.cancel()
                    raise
        finally:
            torch.set_num_threads(threads)

    def _run_job(self, job: Job, progress: Progress) -> None:
        def watch(rows: int, tokens: int, seconds: float) -> None:
            with self._reporting:
                progress.batch_done(job, rows, tokens, seconds)

        def notice(line: str) -> None:
            with self._reporting:
                progress.notice(line)

        try:
            decoder = self._decoder(job, notice)
            temperature = self.settings.temperature
            for method in job.pending:
                samples = decoder.decode(
                    method.build(job.model.default_temperature if temperature is None else temperature),
                    label=str(method),
                    block_length=method.decoded_block_length,
                    callback=self._check_stop,
                    watch=watch,
                )
                scored, signatures = self._score(job.rows, samples)
                self.store.write_samples(job.model.name, job.task, method, scored, signatures)
                with self._reporting:
                    progress.setting_done(job)
            if decoder.has_shrunk:
                self._fitting[job.model.name] = decoder.batch_size
        except Stopped:
            return
        except ValueError as error:
            raise ValueError(f"{job.model.name} on {job.task}: {error}") from error

    def _decoder(self, job: Job, notice: Notice) -> TaskDecoder:
        """The model made ready, with prompts encoded once: that takes as long as decoding a setting does."""
        prepared = job.model.for_task(job.rows, job.max_new_tokens)
        decoder = TaskDecoder(
            job.model, prepared, job.rows, job.max_new_tokens, self.batch_size or 1, self.settings.seed, notice
        )
        if self.batch_size is None:
            decoder.batch_size = job.model.batch_size(prepared, decoder.longest_prompt, job.max_new_tokens)
        if not job.model.concurrent:
            decoder.batch_size = min(decoder.batch_size, self._fitting.get(job.model.name, decoder.batch_size))
        return decoder

    def _check_stop(self, step: int, timestep: Any, tensors: dict[str, Any]) -> None:
        if self._stop.is_set():
            raise Stopped

    def _score(self, rows: Sequence[Row], samples: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """Samples with their scores, and the signatures of what gave those of text."""
        with self._scoring:
            if self._metric is None:
                self._metric = load_metric()
            result = self._metric.compute(
                predictions=[sample["prediction"] for sample in samples],
                references=[row["reference"] for row in rows],
                per_sample=True,
            )
        scored = [
            {**sample, "scores": {key: value for key, value in scores.items() if isinstance(value, float)}}
            for sample, scores in zip(samples, result["samples"], strict=True)
        ]
        return scored, result.get("signatures", {})


def load_metric() -> Any:
    """The metric of this installation, through `evaluate`."""
    directory = _evaluate_cache()
    import evaluate

    return evaluate.load(str(METRIC), cache_dir=directory)


@cache
def _evaluate_cache() -> str:
    """A directory for the files of `evaluate`, removed when this process ends; made before `evaluate` is imported.

    `evaluate` imports a copy of the metric that it makes once, in the home directory. A copy that a kill cut short
    would stay broken, and not every home can be written, so every process makes its own.
    """
    directory = tempfile.mkdtemp(prefix="parallelbench-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    if "evaluate" not in sys.modules:
        name = "HF_MODULES_CACHE"
        before = os.environ.get(name)
        os.environ[name] = directory
        try:
            # It reads the environment once, when it is imported.
            import evaluate  # noqa: F401
        finally:
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before
    return directory
