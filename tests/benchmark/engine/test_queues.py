"""States that wait: which go through the model together, and in which order."""

from typing import Any

from benchmark.engine.chunks import State
from benchmark.engine.queues import StateQueues

LENGTHS = [16, 16, 32, 64]


def states(*of: tuple[int, int]) -> list[State]:
    """Of a question each, with so many masked positions."""
    chunk: Any = None
    return [State(chunk, place, question, masked, b"") for place, (question, masked) in enumerate(of)]


def places(batch: list[State]) -> list[int]:
    return [state.place for state in batch]


def test_a_batch_is_of_the_length_that_most_wait_for_with_those_that_have_most_to_go_first() -> None:
    queues = StateQueues(LENGTHS, joins=False, fill=9)
    assert queues.ready() == len(queues) == 0
    queues.put(states((0, 3), (2, 9), (1, 5), (0, 5), (2, 8), (1, 7)))
    assert (queues.ready(), len(queues)) == (4, 6)
    assert places(queues.take(3)) == [5, 2, 3]
    assert places(queues.take(3)) == [1, 4]
    assert places(queues.take(3)) == [0]
    assert queues.take(3) == []


def test_a_small_batch_takes_in_the_nearest_lengths_where_it_may() -> None:
    waiting = states((3, 9), (0, 1), (1, 2), (2, 5))
    queues = StateQueues(LENGTHS, joins=True, fill=3)
    queues.put(waiting)
    assert queues.ready() == 3
    assert places(queues.take(8)) == [2, 1, 3]
    assert places(queues.take(8)) == [0]
    full = StateQueues(LENGTHS, joins=True, fill=2)
    full.put(waiting)
    assert places(full.take(8)) == [2, 1], "enough of one length takes in no others"


def test_what_is_cleared_waits_no_more() -> None:
    queues = StateQueues(LENGTHS, joins=True, fill=3)
    queues.put(states((0, 1), (3, 1)))
    queues.clear()
    assert len(queues) == 0
