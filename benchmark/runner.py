"""Runs every setting that is not on disk yet, one file of samples per setting."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event, Lock
from typing import Any

from .data import Row
from .models import BenchmarkModel, TaskModel, load_model
from .results import RunStore
from .settings import RunSettings, SchedulerSetting

METRIC = Path(__file__).resolve().parent.parent / "metrics" / "parallelbench"
DEFAULT_BATCH_SIZE = 100

#: Called with a task and the number of its settings that have just been finished, by one thread at a time.
Progress = Callable[[str, int], None]


class Stopped(Exception):
    """The run was asked to stop before it was complete."""


@dataclass(frozen=True, slots=True)
class Job:
    """The settings of one model and task that remain to be run."""

    model: BenchmarkModel
    task: str
    rows: list[Row]
    max_new_tokens: int
    pending: list[SchedulerSetting]


class Runner:
    """Runs one benchmark run into its store.

    Args:
        settings: what to run.
        store: where results go; the caller holds its lock.
        rows: task → its rows.
        batch_size: rows per forward pass; does not change the results.
        workers: tasks decoded at the same time, each in a thread of its own; by default as many as torch has threads.
    """

    def __init__(
        self,
        settings: RunSettings,
        store: RunStore,
        rows: dict[str, list[Row]],
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        workers: int | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.rows = rows
        self.batch_size = batch_size
        self.workers = workers
        self._stop = Event()
        self._scoring = Lock()
        self._reporting = Lock()
        self._metric: Any = None

    def jobs(self) -> tuple[list[Job], dict[str, int]]:
        """What remains to be run, the longest jobs first, and per task how many settings were finished before."""
        jobs: list[Job] = []
        finished = dict.fromkeys(self.settings.tasks, 0)
        for name in self.settings.models:
            model = load_model(name)
            for task in self.settings.tasks:
                rows = self.rows[task]
                ids = [row["id"] for row in rows]
                wanted = [s for s in self.settings.schedulers if s.tasks is None or task in s.tasks]
                pending = [s for s in wanted if not self.store.has_samples(name, task, s.label, ids)]
                finished[task] += len(wanted) - len(pending)
                if pending:
                    jobs.append(Job(model, task, rows, self._max_new_tokens(rows), pending))
        jobs.sort(key=lambda job: -job.max_new_tokens * len(job.pending))
        return jobs, finished

    def run(self, jobs: Sequence[Job], progress: Progress) -> None:
        """Run the jobs; on Ctrl-C every setting that is finished stays on disk.

        Raises:
            KeyboardInterrupt: the user interrupted the run.
            ValueError: a model cannot do a task, or a scheduler refuses its input.
        """
        if not jobs:
            return
        import torch

        threads = torch.get_num_threads()
        workers = min(self.workers or threads, len(jobs))
        # One thread per task beats several threads per operation: the tensors are small.
        torch.set_num_threads(max(1, threads // workers))
        try:
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

    def _max_new_tokens(self, rows: Sequence[Row]) -> int:
        return self.settings.max_new_tokens or max(row["max_new_tokens"] for row in rows)

    def _run_job(self, job: Job, progress: Progress) -> None:
        try:
            prepared = job.model.for_task(job.rows, job.max_new_tokens)
            batches = self._batches(job, prepared)
            for setting in job.pending:
                samples = self._decode(job, prepared, batches, setting)
                self.store.write_samples(job.model.name, job.task, setting.label, self._score(job.rows, samples))
                with self._reporting:
                    progress(job.task, 1)
        except Stopped:
            return
        except ValueError as error:
            raise ValueError(f"{job.model.name} on {job.task}: {error}") from error

    def _batches(self, job: Job, prepared: TaskModel) -> list[tuple[list[Row], Any]]:
        """Rows with their encoded prompts. Every setting needs them, and encoding takes as long as decoding does."""
        starts = range(0, len(job.rows), self.batch_size)
        batches = [job.rows[start : start + self.batch_size] for start in starts]
        return [(batch, encode_prompts(prepared.tokenizer, batch)) for batch in batches]

    def _decode(
        self, job: Job, prepared: TaskModel, batches: list[tuple[list[Row], Any]], setting: SchedulerSetting
    ) -> list[dict[str, Any]]:
        """Predictions and forward passes of all rows under one setting, in the order of the rows."""
        from samplers import generate

        temperature = self.settings.temperature
        scheduler = setting.build(job.model.default_temperature if temperature is None else temperature)
        samples: list[dict[str, Any]] = []
        for batch, inputs in batches:
            output = generate(
                prepared.model,
                inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                scheduler=scheduler,
                max_new_tokens=job.max_new_tokens,
                block_length=setting.block_length,
                generator=[noise_source(self.settings.seed, row["id"], setting.label) for row in batch],
                callback_on_step_end=self._check_stop,
            )
            answers = output.sequences[:, inputs["input_ids"].shape[1] :].tolist()
            for row, tokens, passes in zip(batch, answers, output.num_forward_passes.tolist(), strict=True):
                samples.append(
                    {
                        "id": row["id"],
                        "length": row["length"],
                        "prediction": decode_answer(prepared.tokenizer, tokens),
                        "num_tokens": len(tokens),
                        "num_forward_passes": passes,
                        "tokens_per_step": len(tokens) / passes,
                    }
                )
        return samples

    def _check_stop(self, step: int, timestep: Any, tensors: dict[str, Any]) -> None:
        if self._stop.is_set():
            raise Stopped

    def _score(self, rows: Sequence[Row], samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
        with self._scoring:
            if self._metric is None:
                self._metric = load_metric()
            result = self._metric.compute(
                predictions=[sample["prediction"] for sample in samples],
                references=[row["reference"] for row in rows],
                per_sample=True,
            )
        return [
            {**sample, "scores": {key: value for key, value in scores.items() if isinstance(value, float)}}
            for sample, scores in zip(samples, result["samples"], strict=True)
        ]


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


def encode_prompts(tokenizer: Any, rows: Sequence[Row]) -> Any:
    """Chat prompts as a batch padded on the left: `input_ids` and `attention_mask`, (batch, prompt)."""
    return tokenizer.apply_chat_template(
        [row["messages"] for row in rows],
        add_generation_prompt=True,
        tokenize=True,
        padding=True,
        padding_side="left",
        return_dict=True,
        return_tensors="pt",
    )


def decode_answer(tokenizer: Any, tokens: list[int]) -> str:
    """The text of an answer up to its first end token."""
    end = tokenizer.eos_token_id
    if end in tokens:
        tokens = tokens[: tokens.index(end)]
    text: str = tokenizer.decode(tokens, skip_special_tokens=True)
    return text


def noise_source(seed: int, row_id: str, label: str) -> Any:
    """The row's own random generator: the same whatever batch the row is in, another for every setting."""
    import torch

    digest = hashlib.sha256(f"{seed}/{row_id}/{label}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
