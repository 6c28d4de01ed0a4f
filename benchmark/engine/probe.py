"""A short trial of a model: how fast settings come through their states here, and what a run of it would take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any

from benchmark.engine.planning import Job
from benchmark.engine.threads import run_side_by_side
from benchmark.engine.time_left import WorkLeft
from benchmark.engine.worker import worker_for
from benchmark.models.interface import AnswerOptions, BenchmarkModel

# A round with twice the questions is begun if it should be over by then.
_BUDGET_SECONDS = 20.0
# A model that is slower is stopped in the middle of a round, which says enough, too.
_TOO_LONG_SECONDS = 45.0


@dataclass(frozen=True, slots=True)
class Probe:
    """What was measured, and what it says of the run.

    Attributes:
        questions: that were asked, each under `methods` methods of `tasks`.
        states, passes: that settings came through, and that went through the model.
        seconds: that it took.
        total: seconds that the whole run would take on this device.
    """

    tasks: tuple[str, ...]
    questions: int
    methods: int
    states: int
    passes: int
    seconds: float
    total: float


class _TooLong(Exception):
    """The trial is stopped."""


def probe(
    model: BenchmarkModel,
    jobs: Sequence[Job],
    how: Mapping[str, Any],
    now: Callable[[], float] = time.monotonic,
) -> Probe | None:
    """Try a model on the first questions of some jobs, as many as say enough in some seconds; None where nothing came.

    The model is loaded first, which is not counted. As in a run, a small model on a CPU does several tasks side by
    side, and settings share forward passes; rounds with twice the questions follow each other, and the last one counts.

    Args:
        model: to be tried.
        jobs: all that the run would do with it.
        how: fields of `AnswerOptions` that are the same for all.
        now: the time, in seconds.

    Raises:
        ValueError: the model refuses the questions.
    """
    import torch

    chosen = list(jobs[: torch.get_num_threads() if model.concurrent else 1])
    for job in chosen:
        if hasattr(model, "for_task"):
            model.for_task(job.asked, job.max_new_tokens, job.seed)
    found, most = None, max(len(job.asked) for job in chosen)
    began, count = now(), 1
    while True:
        last = _round(model, chosen, count, jobs, how, began, now)
        found = last or found
        if last is None or count >= most or now() - began + 2 * last.seconds > _BUDGET_SECONDS:
            return found
        count *= 2


def _round(
    model: BenchmarkModel,
    chosen: Sequence[Job],
    count: int,
    jobs: Sequence[Job],
    how: Mapping[str, Any],
    began: float,
    now: Callable[[], float],
) -> Probe | None:
    work, answering, lock, stop = WorkLeft(jobs), worker_for(model), Lock(), Event()
    states = passes = told = 0
    started = now()

    def check_stop() -> None:
        if stop.is_set() or now() - began > _TOO_LONG_SECONDS:
            raise _TooLong

    def counted(more_states: int, more_passes: int) -> None:
        nonlocal states, passes
        with lock:
            states, passes = states + more_states, passes + more_passes

    def try_out(job: Job) -> None:
        nonlocal told
        options = AnswerOptions(
            max_new_tokens=job.max_new_tokens, seed=job.seed, check_stop=check_stop, counted=counted, **how
        )
        try:
            for answered in answering.answers(job.asked[:count], job.pending, options):
                with lock:
                    told += sum(sample["num_forward_passes"] or 1 for sample in answered.samples)
                    work.answered(job, answered)
        except _TooLong:
            pass

    run_side_by_side(chosen, try_out, stop, workers=len(chosen))
    seconds, states = now() - started, max(states, told)
    if not states:
        return None
    # What was tried is done once more in the run.
    left = sum(work.states_left().values()) + told
    questions = sum(min(count, len(job.asked)) for job in chosen)
    names = tuple(dict.fromkeys(job.task for job in chosen))
    return Probe(names, questions, len(chosen[0].pending), states, passes, seconds, seconds * left / states)
