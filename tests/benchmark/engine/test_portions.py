"""Portions: every question in one of them, several for each worker, none too large, models without weights whole."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from benchmark.engine.portions import portion_size, portions_of
from benchmark.models.interface import Answered, Sample, new_sample
from benchmark.protocol.method import Method

METHODS = [Method.parse("random:k=1"), Method.parse("random:k=2")]


def job(questions: int, has_weights: bool = True) -> Any:
    rows = [{"id": str(number), "length": 3} for number in range(questions)]
    model = SimpleNamespace(name="model", has_weights=has_weights)
    return SimpleNamespace(model=model, task="task", asked=rows, pending=METHODS, max_new_tokens=8, seed=3)


@given(counts=st.lists(st.integers(0, 300), max_size=4), workers=st.integers(1, 9))
def test_portions_are_the_questions_in_their_order(counts: list[int], workers: int) -> None:
    jobs = [job(count) for count in counts]
    portions = portions_of(jobs, workers, temperature=0.5)
    for one in jobs:
        parts = [portion.work.rows for portion in portions if portion.job is one]
        assert [row for rows in parts for row in rows] == one.asked
        assert all(parts)
        if parts:
            assert max(map(len, parts)) - min(map(len, parts)) <= 1
    largest = portion_size(sum(counts), workers)
    assert all(len(portion.work.rows) <= largest for portion in portions)
    assert all((portion.work.seed, portion.work.temperature) == (3, 0.5) for portion in portions)


@given(questions=st.integers(1, 3000), workers=st.integers(1, 16))
def test_a_worker_has_several_portions_where_there_are_questions(questions: int, workers: int) -> None:
    size = portion_size(questions, workers)
    assert 1 <= size <= 64
    assert size == 64 or size * 2 * workers < questions + 2 * workers


def test_a_model_that_takes_its_words_from_the_questions_gets_all_of_them() -> None:
    (portion,) = portions_of([job(50, has_weights=False)], 4)
    assert len(portion.work.rows) == 50
    assert portions_of([job(0, has_weights=False)], 4) == []


def test_what_was_answered_is_not_done_again() -> None:
    (portion,) = portions_of([job(1)], 1)

    def sample(name: str) -> Sample:
        return new_sample({"id": name, "length": 3}, "", num_tokens=8, num_forward_passes=8, num_answer_tokens=8)

    answered = Answered(METHODS[0], [sample("0")], 0.1)
    assert portion.new(answered) == answered.samples
    assert portion.new(answered) == []
    assert portion.new(Answered(METHODS[1], [sample("another")], 0.1)) == []
    assert portion.left.methods == METHODS[1:]
    assert portion.work.methods == METHODS
    assert portion.lacks("0")
    assert not portion.lacks("1")
