"""Shows how a run goes: a bar in a terminal, a line per task elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.engine.runner import Job
    from benchmark.models.interface import Answered, Sample
    from benchmark.protocol.method import Method


class RunProgress:
    """The progress of the jobs of one run; see `benchmark.engine.runner.Progress`.

    Args:
        console: where to.
        bar: of rich; shown in a terminal alone.
        jobs: what is to be run.
        done: settings that were on disk before.
    """

    def __init__(self, console: Console, bar: Any, jobs: Sequence[Job], done: int) -> None:
        self._console = console
        self._bar = bar
        self._done = done
        self._total = done + sum(len(job.pending) for job in jobs)
        self._left = {id(job): len(job.pending) for job in jobs}
        # One model's name says nothing on every line.
        self._names_models = len({job.model.name for job in jobs}) > 1
        self._tokens: dict[str, int] = {}
        self._seconds: dict[str, float] = {}
        self._rows: dict[str, int] = {}
        self._shown = bar.add_task("decoding", total=self._total, completed=done, speed="")

    def setting_done(self, job: Job, method: Method, samples: list[Sample]) -> None:
        """Move the bar; print a line when a task is done and there is no bar."""
        self._done += 1
        self._left[id(job)] -= 1
        self._bar.update(self._shown, completed=self._done, description=self._name(job))
        if self._left[id(job)] == 0 and not self._console.is_terminal:
            speed = self._speed(job)
            how = f" at {speed} with up to {self._rows[job.model.name]} rows at a time" if speed else ""
            self._say(f"{self._name(job)}: done{how}; {self._done} of {self._total} settings are on disk")

    def samples_done(self, job: Job, answered: Answered) -> None:
        """Move the bar by a part of a setting."""
        name, rows = job.model.name, len(answered.samples)
        tokens = sum(sample["num_tokens"] for sample in answered.samples)
        self._tokens[name] = self._tokens.get(name, 0) + tokens
        self._seconds[name] = self._seconds.get(name, 0.0) + answered.seconds
        self._rows[name] = max(self._rows.get(name, 0), rows)
        self._bar.update(
            self._shown, advance=rows / len(job.rows), description=self._name(job), speed=self._speed(job) or ""
        )

    def notice(self, line: str) -> None:
        """Print the line above the bar."""
        self._say(line)

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False)

    def _name(self, job: Job) -> str:
        return f"{job.model.name}, {job.task}" if self._names_models else job.task

    def _speed(self, job: Job) -> str | None:
        """Generated tokens per second of a model's decoding; for tasks side by side, of each of them."""
        seconds = self._seconds.get(job.model.name, 0.0)
        if not job.model.has_weights or not seconds:
            return None
        return f"{self._tokens[job.model.name] / seconds:,.0f} tokens/s{' each' if job.model.concurrent else ''}"


@contextmanager
def shown_progress(console: Console, jobs: Sequence[Job], done: int) -> Iterator[RunProgress]:
    """A progress of these jobs, with its bar while the context lasts."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("settings"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[speed]}"),
    )
    # A file is no place for a bar; a line per task shows there that something happens.
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        yield RunProgress(console, bar, jobs, done)
