"""What is left of a run: exact where the number of states is known, learned where it is not, and said in words."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.engine.time_left import WorkLeft, in_words
from benchmark.models.interface import Answered, new_sample
from benchmark.protocol.method import Method

FIXED, ADAPTIVE = Method.parse("confidence:k=2"), Method.parse("threshold:threshold=0.9")
NEW = 16


def job(methods: list[Method], questions: int, model: str = "model") -> Any:
    own = SimpleNamespace(name=model)
    return SimpleNamespace(model=own, pending=methods, asked=[{}] * questions, max_new_tokens=NEW)


def answered(method: Method, passes: int | None, count: int = 1, seconds: float = 1.0) -> Answered:
    question = {"id": "a", "length": 3}
    sample = new_sample(question, "", num_tokens=NEW, num_forward_passes=passes, num_answer_tokens=NEW)
    return Answered(method, [sample] * count, seconds)


def test_a_fixed_method_has_its_states_and_an_adaptive_one_the_most_until_there_is_an_answer() -> None:
    jobs = [job([FIXED, ADAPTIVE], 10)]
    work = WorkLeft(jobs)
    assert work.states_left() == {"model": 10 * 8 + 10 * 16}
    work.answered(jobs[0], answered(ADAPTIVE, 4, count=2))
    assert work.states_left() == {"model": 10 * 8 + 8 * 4}


@given(first=st.integers(1, 40), rest=st.integers(1, 40))
def test_time_goes_by_states(first: int, rest: int) -> None:
    jobs = [job([FIXED], first + rest)]
    work = WorkLeft(jobs)
    assert work.seconds_left(5.0) is None
    work.counted(jobs[0], 8 * first)
    work.answered(jobs[0], answered(FIXED, 8, count=first, seconds=3.0))
    assert work.share_done() == pytest.approx(first / (first + rest))
    assert work.seconds_left(5.0) == pytest.approx(5.0 * rest / first)
    work.counted(jobs[0], 8 * rest)
    work.answered(jobs[0], answered(FIXED, 8, count=rest))
    assert work.share_done() == 1
    assert work.seconds_left(9.0) == 0


def test_states_on_their_way_are_done_before_any_setting_is() -> None:
    jobs = [job([FIXED], 10)]
    work = WorkLeft(jobs)
    work.counted(jobs[0], 40)
    assert work.seconds_left(6.0) == pytest.approx(6.0)
    # A worker died, and its part is done again.
    work.counted(jobs[0], -20)
    assert work.share_done() == pytest.approx(1 / 4)


def test_a_dear_model_takes_longer_than_a_cheap_one() -> None:
    jobs = [job([FIXED], 10, "cheap"), job([FIXED], 10, "dear")]
    work = WorkLeft(jobs)
    for one, seconds in zip(jobs, (1.0, 9.0), strict=True):
        work.answered(one, answered(FIXED, 8, count=5, seconds=seconds))
    work.answered(jobs[0], answered(FIXED, 8, count=5, seconds=1.0))
    # Done: 2 and 9 seconds of decoding; left: 9.
    assert work.seconds_left(22.0) == pytest.approx(22.0 * 9 / 11)


def test_of_a_model_that_tells_no_passes_an_answer_is_the_unit() -> None:
    jobs = [job([Method.parse("served")], 10)]
    work = WorkLeft(jobs)
    work.answered(jobs[0], answered(jobs[0].pending[0], None, count=4))
    assert work.share_done() == pytest.approx(0.4)


def test_a_method_of_ones_own_is_not_run_to_find_out() -> None:
    assert WorkLeft([job([Method.parse("nowhere:Rule(k=2)")], 3)]).states_left() == {"model": 3 * NEW}


def test_nothing_to_do_is_done() -> None:
    assert WorkLeft([]).share_done() == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (3599, "1 h"), (3660, "1 h 1 min"),
        (86_399, "1 d"), (27 * 3600, "1 d 3 h"), (27 * 3600 + 1800, "1 d 4 h"),
    ],
)  # fmt: skip
def test_times_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
