"""Shows how a run goes: a bar in a terminal, a line per task elsewhere; time goes by the states that settings share."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmark.engine.time_left import WorkLeft, in_words

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.engine.planning import Job
    from benchmark.models.interface import Answered, Sample
    from benchmark.protocol.method import Method


# How often the bar is drawn, and how often a line is written where there is none.
_DRAW_SECONDS = 0.2
_SAY_SECONDS = 300.0
# Before that, speeds say little, and what is left is a guess.
_SETTLED_SECONDS = 3.0
# Of compiling and capturing that are worth saying.
_WARM_UP_SECONDS = 1.0


class RunProgress:
    """The progress of the jobs of one run; see `benchmark.engine.collecting.Progress`.

    Args:
        console: where to.
        bar: of rich; shown in a terminal alone.
        jobs: what is to be run.
        done: settings that were on disk before.
        workers: processes that work side by side.
    """

    def __init__(self, console: Console, bar: Any, jobs: Sequence[Job], done: int, workers: int = 1) -> None:
        self._console = console
        self._bar = bar
        self._done = done
        self._workers = workers
        self._total = done + sum(len(job.pending) for job in jobs)
        self._left: Counter[tuple[str, str, int]] = Counter()
        for job in jobs:
            self._left[_key(job)] += len(job.pending)
        # One model's name says nothing on every line.
        self._names_models = len({job.model.name for job in jobs}) > 1
        self._names_seeds = len({job.seed for job in jobs}) > 1
        self._tokens: dict[str, int] = {}
        self._seconds: dict[str, float] = {}
        self._rows: dict[str, int] = {}
        self._warm_up = 0.0
        # What another seed, or another run, has decoded took no time here.
        self._decoded: set[tuple[str, str, int]] = set()
        #: States that settings came through, and those that went through the model, by model and by job.
        self._states: dict[Any, tuple[int, int]] = {}
        self._work = WorkLeft(jobs)
        #: Questions, and under how many settings of its job each has been answered.
        self._questions, self._all_questions = 0, sum(len(job.asked) for job in jobs)
        self._answers: Counter[tuple[int, str]] = Counter()
        self._began = self._since = self._said = time.monotonic()
        self._begun = False
        self._shown = bar.add_task("decoding", total=1.0, status="")
        self._drawn = 0.0

    def setting_done(self, job: Job, method: Method, samples: list[Sample]) -> None:
        """Move the bar; print a line when a task is done and there is no bar."""
        self._done += 1
        self._left[_key(job)] -= 1
        self._show(job, now=True)
        if self._left[_key(job)] == 0 and not self._console.is_terminal:
            speed = self._speed(job)
            rows = self._rows.get(job.model.name)
            batch = f" with up to {rows} row{'' if rows == 1 else 's'} at a time" if rows else ""
            how = f" at {speed}{batch}" if speed and _key(job) in self._decoded else ""
            saved = f", {saving}" if (saving := self._saving(_key(job))) else ""
            self._say(f"{self._name(job)}: done{how}{saved}; {self._done} of {self._total} settings are on disk")

    def samples_done(self, job: Job, answered: Answered) -> None:
        """Move the bar by a part of a setting."""
        name, rows = job.model.name, len(answered.samples)
        tokens = sum(sample["num_tokens"] for sample in answered.samples)
        self._tokens[name] = self._tokens.get(name, 0) + tokens
        self._decoded.add(_key(job))
        self._seconds[name] = self._seconds.get(name, 0.0) + answered.seconds
        self._warm_up += answered.warm_up
        # Where passes are shared, questions that are finished together are no batch.
        if not any(sample.get("shared") for sample in answered.samples):
            self._rows[name] = max(self._rows.get(name, 0), rows)
        for sample in answered.samples:
            key = id(job), sample["id"]
            self._answers[key] += 1
            self._questions += self._answers[key] == len(job.pending)
        self._begun = True
        self._work.answered(job, answered)
        self._show(job)

    def states_done(self, job: Job, states: int, passes: int) -> None:
        """Show states per second, and how many of their forward passes were saved."""
        if not self._begun:
            # What came before was loading.
            self._begun, self._since = True, time.monotonic()
        for key in (None, _key(job)):
            before = self._states.get(key, (0, 0))
            self._states[key] = before[0] + states, before[1] + passes
        self._work.counted(job, states)
        self._show(job)

    def status(self) -> str:
        """Settings and questions that are done, states per second, passes saved, warm-up, and the time that is left."""
        elapsed = max(time.monotonic() - self._since, 1e-9)
        states, _ = self._states.get(None, (0, 0))
        left = self._work.seconds_left(elapsed)
        settled = elapsed >= _SETTLED_SECONDS
        parts = [
            f"{self._done:,}/{self._total:,} settings",
            f"{self._questions:,}/{self._all_questions:,} questions",
            f"{states / elapsed:,.0f} states/s" if states and settled else "",
            (settled and self._saving(None)) or "",
            f"{in_words(self._warm_up)} of warm-up" if self._warm_up >= _WARM_UP_SECONDS else "",
            "" if left is None or not settled else f"about {in_words(left)} left",
        ]
        return ", ".join(filter(None, parts))

    def _show(self, job: Job, *, now: bool = False) -> None:
        """Draw the bar, not more often than can be seen; without one, say now and then how far things are."""
        time_now = time.monotonic()
        if self._console.is_terminal and (now or time_now - self._drawn > _DRAW_SECONDS):
            self._drawn = time_now
            self._bar.update(
                self._shown, completed=self._work.share_done(), description=self._name(job), status=self.status()
            )
        elif not self._console.is_terminal and time_now - self._said > _SAY_SECONDS:
            self._say(f"after {in_words(time_now - self._began)}: {self.status()}")

    def notice(self, line: str) -> None:
        """Print the line above the bar."""
        self._say(line)

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        self._console.print(line, soft_wrap=True, markup=False)

    def _name(self, job: Job) -> str:
        name = f"{job.model.name}, {job.task}" if self._names_models else job.task
        return f"{name}, seed {job.seed}" if self._names_seeds else name

    def _saving(self, key: Any) -> str | None:
        states, passes = self._states.get(key, (0, 0))
        return f"{1 - passes / states:.0%} of the forward passes saved" if passes < states else None

    def _speed(self, job: Job) -> str | None:
        """Generated tokens per second of a model's decoding; for tasks side by side, of each of them."""
        seconds = self._seconds.get(job.model.name, 0.0)
        if not job.model.has_weights or not seconds:
            return None
        each = " each" if job.model.concurrent or self._workers > 1 else ""
        return f"{self._tokens[job.model.name] / seconds:,.0f} tokens/s{each}"


def _key(job: Job) -> tuple[str, str, int]:
    return job.model.name, job.task, job.seed


@contextmanager
def shown_progress(console: Console, jobs: Sequence[Job], done: int, workers: int = 1) -> Iterator[RunProgress]:
    """A progress of these jobs, with its bar while the context lasts."""
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[status]}"),
    )
    # A file is no place for a bar; a line per task, and one now and then, show there that something happens.
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        yield RunProgress(console, bar, jobs, done, workers)
