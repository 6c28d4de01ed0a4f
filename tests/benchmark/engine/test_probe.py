"""A trial of a model: rounds that grow while there is time, what it says of the whole, and an end where it is slow."""

from typing import Any

import pytest

from benchmark.engine.planning import Job
from benchmark.engine.probe import probe
from benchmark.models import IdealModel
from benchmark.models.interface import Answered, AnswerOptions, new_sample
from benchmark.protocol.method import Method
from benchmark.protocol.questions import load_rows

METHODS = [Method.parse("confidence:k=8"), Method.parse("random:k=4")]
NEW = 32
# Passes of an answer under both methods.
PASSES = NEW // 8 + NEW // 4


class Timed(IdealModel):
    """A model whose every state takes as long on a clock of its own; it shares nothing."""

    concurrent = False

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.clock, self.rounds = seconds, 0.0, []  # type: ignore[var-annotated]

    def now(self) -> float:
        return self.clock

    def answers(self, questions: Any, methods: Any, options: AnswerOptions) -> Any:
        self.rounds.append(len(questions))
        for method in methods:
            passes = NEW // method.parameters["k"]
            for row in questions:
                for _ in range(passes):
                    options.check_stop()
                    self.clock += self.seconds
                    options.counted(1, 1)
                sample = new_sample(row, "", num_tokens=NEW, num_forward_passes=passes, num_answer_tokens=NEW)
                yield Answered(method, [sample], passes * self.seconds)


def jobs(model: Any, *counts: int) -> list[Job]:
    rows = load_rows("waiting_line_shuffle", max(counts))
    return [Job(model, f"task {count}", rows[:count], NEW, METHODS, 0, rows[:count]) for count in counts]


def test_rounds_double_while_there_is_time_and_the_last_one_counts() -> None:
    # One question takes a second: 1 + 2 + 4 are over after seven, and 8 more would be over after 15 of 20.
    model = Timed(1 / PASSES)
    found = probe(model, jobs(model, 100), {}, model.now)
    assert model.rounds == [1, 2, 4, 8]
    assert found is not None
    assert (found.questions, found.methods, found.states, found.passes) == (8, 2, 8 * PASSES, 8 * PASSES)
    assert found.seconds == pytest.approx(8)
    assert found.total == pytest.approx(100)
    assert found.tasks == ("task 100",)


def test_all_jobs_count_and_no_more_questions_are_asked_than_there_are() -> None:
    model = Timed(0.001)
    found = probe(model, jobs(model, 3, 20), {}, model.now)
    assert model.rounds == [1, 2, 3]
    assert found is not None
    assert found.questions == 3
    assert found.total == pytest.approx(23 * PASSES * 0.001)


def test_a_slow_model_is_stopped_and_judged_by_the_states_that_it_came_through() -> None:
    model = Timed(10.0)
    found = probe(model, jobs(model, 100), {}, model.now)
    assert model.rounds == [1]
    assert found is not None
    assert found.states == 5
    assert found.total == pytest.approx(100 * PASSES * 10.0)


def test_a_model_that_comes_to_nothing_gives_no_estimate() -> None:
    class Silent(Timed):
        def answers(self, questions: Any, methods: Any, options: AnswerOptions) -> Any:
            self.clock += 100
            options.check_stop()
            yield

    model = Silent(1.0)
    assert probe(model, jobs(model, 5), {}, model.now) is None


def test_tasks_of_a_small_model_are_tried_side_by_side() -> None:
    import torch

    model = IdealModel()
    rows = load_rows("waiting_line_copy", 4)
    asked = [Job(model, name, rows, NEW, METHODS, 0, rows) for name in ("one", "another", "a third")]
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        found = probe(model, asked, {})
    finally:
        torch.set_num_threads(threads)
    assert found is not None
    assert found.tasks == ("one", "another")
    assert found.questions == 8
    assert found.states == 8 * PASSES
    assert found.total == pytest.approx(found.seconds * 12 / 8)
