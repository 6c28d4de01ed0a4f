"""Work in flight: as many at once as asked for, results as they come, and one end for all of it."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from benchmark.models.in_flight import in_flight


class Tool:
    """Counts what is at work; `closed` once it is closed."""

    def __init__(self) -> None:
        self.now = self.most = self.begun = self.cancelled = 0
        self.closed = False

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Tool"]:
        try:
            yield self
        finally:
            self.closed = True

    async def work(self, seconds: float) -> float:
        self.now, self.begun = self.now + 1, self.begun + 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now -= 1
        if seconds == 0.03:
            raise KeyError("three hundredths")
        return seconds


def test_results_come_as_they_are_ready() -> None:
    tool = Tool()
    assert list(in_flight([0.2, 0.1, 0.01], Tool.work, tool.opened, concurrency=3)) == [0.01, 0.1, 0.2]
    assert tool.closed


def test_no_more_are_at_work_than_asked_for_and_items_are_taken_as_work_begins() -> None:
    tool, taken = Tool(), []

    def items() -> Iterator[float]:
        for number in range(40):
            taken.append(number)
            yield 0.001

    results = in_flight(items(), Tool.work, tool.opened, concurrency=4)
    next(results)
    assert len(taken) < 40
    assert len(list(results)) == 39
    assert tool.most == 4


def test_what_a_piece_of_work_raises_is_raised_and_the_rest_is_cancelled() -> None:
    tool = Tool()
    with pytest.raises(KeyError, match="three hundredths"):
        list(in_flight([5.0, 0.03, 5.0], Tool.work, tool.opened, concurrency=3))
    assert (tool.cancelled, tool.now, tool.closed) == (2, 0, True)


def test_a_stop_is_noticed_while_nothing_is_ready_and_cancels_what_is_at_work() -> None:
    tool, started = Tool(), time.monotonic()

    def check_stop() -> None:
        if time.monotonic() > started + 0.2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        list(in_flight([60.0] * 8, Tool.work, tool.opened, concurrency=4, check_stop=check_stop))
    assert time.monotonic() < started + 10
    assert (tool.begun, tool.cancelled, tool.closed) == (4, 4, True)


def test_who_takes_no_more_results_ends_it_and_leaves_no_thread() -> None:
    tool = Tool()
    results = in_flight([0.01, *[60.0] * 9], Tool.work, tool.opened, concurrency=10)
    assert next(results) == 0.01
    results.close()  # type: ignore[attr-defined]
    assert tool.closed
    assert "in flight" not in {thread.name for thread in threading.enumerate()}


def test_who_looks_away_until_all_is_done_may_end_it_too() -> None:
    results = in_flight([0.0, 0.0], Tool.work, Tool().opened, concurrency=1)
    next(results)
    time.sleep(0.3)
    results.close()  # type: ignore[attr-defined]


def test_it_works_where_a_loop_runs_already() -> None:
    async def in_a_notebook() -> list[float]:
        return list(in_flight([0.01, 0.0], Tool.work, Tool().opened, concurrency=1))

    assert asyncio.run(in_a_notebook()) == [0.01, 0.0]


def test_the_caller_delays_nothing() -> None:
    tool = Tool()
    results = in_flight([0.0, 0.1, 0.1], Tool.work, tool.opened, concurrency=3)
    next(results)
    time.sleep(0.4)
    assert tool.now == 0
    assert list(results) == [0.1, 0.1]
