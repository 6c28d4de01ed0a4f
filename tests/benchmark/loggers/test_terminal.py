"""How a run is told where there is no terminal: a line per task, with the speed and the rows of its model's batches."""

import io
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from benchmark.loggers.terminal import shown_progress
from benchmark.models.interface import Answered, Sample, new_sample
from benchmark.protocol.method import Method


def job(model: str, task: str, settings: int, *, has_weights: bool = True, concurrent: bool = False) -> Any:
    own = SimpleNamespace(name=model, has_weights=has_weights, concurrent=concurrent)
    pending = [Method.of("random", {"k": 2**power}) for power in range(settings)]
    return SimpleNamespace(model=own, task=task, pending=pending, rows=[None] * 10)


def samples(count: int) -> list[Sample]:
    question = {"id": "a", "length": 3}
    return [new_sample(question, "", num_tokens=100, num_forward_passes=4, num_answer_tokens=9)] * count


def told(*jobs: Any, done: int = 0) -> list[str]:
    """What is printed when each setting takes a batch of eight rows and one of the two that are left."""
    console = Console(file=io.StringIO(), width=200)
    with shown_progress(console, jobs, done) as progress:
        for each in jobs:
            for method in each.pending:
                for rows in (8, 2):
                    progress.samples_done(each, Answered(method, samples(rows), 0.5))
                progress.setting_done(each, method, samples(10))
    printed: str = console.file.getvalue()  # type: ignore[attr-defined]
    return printed.splitlines()


def test_a_task_is_told_once_with_the_largest_batch() -> None:
    (line,) = told(job("org/model", "copy", 2), done=1)
    assert line == "copy: done at 1,000 tokens/s with up to 8 rows at a time; 3 of 3 settings are on disk"


def test_several_models_are_told_apart() -> None:
    first, second = told(job("org/model", "copy", 1, concurrent=True), job("ideal", "copy", 1, has_weights=False))
    assert first == (
        "org/model, copy: done at 1,000 tokens/s each with up to 8 rows at a time; 1 of 2 settings are on disk"
    )
    assert second == "ideal, copy: done; 2 of 2 settings are on disk", "without weights a speed says nothing"
