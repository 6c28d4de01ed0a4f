"""How a run is told where there is no terminal: a line per task, with the speed and the rows of its model's batches."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from benchmark.loggers.terminal import shown_progress
from benchmark.models.interface import Answered, Sample, new_sample
from benchmark.protocol.method import Method


def job(model: str, task: str, settings: int, *, has_weights: bool = True, concurrent: bool = False) -> Any:
    own = SimpleNamespace(name=model, has_weights=has_weights, concurrent=concurrent)
    pending = [Method.of("random", {"k": 2**power}) for power in range(settings)]
    return SimpleNamespace(model=own, task=task, pending=pending, seed=0, asked=[{}] * 10, max_new_tokens=8)


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


def test_questions_that_are_finished_together_where_settings_share_are_no_batch() -> None:
    console = Console(file=io.StringIO(), width=200)
    one = job("org/model", "copy", 1)
    shared: Any = [{**sample, "shared": True} for sample in samples(8)]
    with shown_progress(console, [one], 0) as progress:
        progress.samples_done(one, Answered(one.pending[0], shared, 0.5))
        progress.setting_done(one, one.pending[0], shared)
    line = console.file.getvalue()  # type: ignore[attr-defined]
    assert line == "copy: done at 1,600 tokens/s; 1 of 1 settings are on disk\n"


def test_what_was_not_decoded_here_has_no_speed() -> None:
    console = Console(file=io.StringIO(), width=200)
    decoded, taken = job("org/model", "copy", 1), job("org/model", "sort", 1)
    with shown_progress(console, [decoded, taken], 0) as progress:
        progress.samples_done(decoded, Answered(decoded.pending[0], samples(8), 0.5))
        progress.setting_done(decoded, decoded.pending[0], samples(8))
        progress.setting_done(taken, taken.pending[0], samples(8))
    line = console.file.getvalue().splitlines()[1]  # type: ignore[attr-defined]
    assert line == "sort: done; 2 of 2 settings are on disk"


def test_several_models_are_told_apart() -> None:
    first, second = told(job("org/model", "copy", 1, concurrent=True), job("ideal", "copy", 1, has_weights=False))
    assert first == (
        "org/model, copy: done at 1,000 tokens/s each with up to 8 rows at a time; 1 of 2 settings are on disk"
    )
    assert second == "ideal, copy: done; 2 of 2 settings are on disk", "without weights a speed says nothing"


def terminal_of(*jobs: Any, workers: int = 1) -> Any:
    """A progress on what says that it is a terminal, and what is written there."""
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    return shown_progress(console, jobs, 0, workers), console.file


def answer(method: Method, *names: str, passes: int = 4) -> Answered:
    found = [
        new_sample({"id": name, "length": 3}, "", num_tokens=8, num_forward_passes=passes, num_answer_tokens=8)
        for name in names
    ]
    return Answered(method, found, 0.5)


def test_the_line_has_settings_questions_states_passes_saved_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("benchmark.loggers.terminal.time.monotonic", lambda: now[0])
    one = job("org/model", "copy", 2)
    one.pending = [Method.parse("random:k=2"), Method.parse("random:k=4")]
    first, second = one.pending
    shown, _ = terminal_of(one)
    with shown as progress:
        now[0] = 140.0
        # The model has been loaded; from now on it works.
        progress.states_done(one, 0, 0)
        now[0] = 150.0
        progress.states_done(one, 24, 12)
        progress.samples_done(one, answer(first, *"abcde"))
        assert progress.status() == (
            "0/2 settings, 0/10 questions, 2 states/s, 50% of the forward passes saved, about 15 s left"
        )
        progress.samples_done(one, answer(second, *"abc", passes=2))
        assert "3/10 questions" in progress.status()
        progress.samples_done(one, answer(first, *"fghij"))
        progress.setting_done(one, first, [])
        assert progress.status().startswith("1/2 settings, 3/10 questions")
        now[0] = 160.0
        progress.samples_done(one, answer(second, *"defghij", passes=2))
        progress.states_done(one, 36, 20)
        progress.setting_done(one, second, [])
        assert progress.status() == (
            "2/2 settings, 10/10 questions, 3 states/s, 47% of the forward passes saved, about 0 s left"
        )


def test_the_line_is_drawn_in_a_terminal_and_said_now_and_then_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    one = job("org/model", "copy", 1)
    shown, written = terminal_of(one)
    with shown as progress:
        progress.states_done(one, 40, 10)
    assert "0/1 settings, 0/10 questions" in written.getvalue()

    now = [0.0]
    monkeypatch.setattr("benchmark.loggers.terminal.time.monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=200)
    with shown_progress(console, [one], 0) as progress:
        for seconds in range(0, 1000, 10):
            now[0] = float(seconds)
            progress.states_done(one, 0, 0)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines == [f"after {minutes} min: 0/1 settings, 0/10 questions" for minutes in (5, 10, 16)]


def test_speeds_of_several_workers_are_those_of_each() -> None:
    console = Console(file=io.StringIO(), width=200)
    one = job("org/model", "copy", 1)
    with shown_progress(console, [one], 0, workers=2) as progress:
        progress.samples_done(one, Answered(one.pending[0], samples(8), 0.5))
        progress.setting_done(one, one.pending[0], samples(8))
    assert "at 1,600 tokens/s each with" in console.file.getvalue()  # type: ignore[attr-defined]


def test_warm_up_is_said_in_the_line_and_counts_in_no_speed() -> None:
    one = job("org/model", "copy", 1)
    shown, _ = terminal_of(one)
    with shown as progress:
        progress.samples_done(one, Answered(one.pending[0], samples(8), 0.5, 0.5))
        assert "warm-up" not in progress.status()
        progress.samples_done(one, Answered(one.pending[0], samples(2), 0.5, 41.5))
        assert "42 s of warm-up" in progress.status()
        assert progress._speed(one) == "1,000 tokens/s"
