"""States that wait for the model, by the lengths of their prompts, and which of them go through it together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from itertools import count

from benchmark.engine.chunks import State

_Entry = tuple[int, int, State]


class StateQueues:
    """States that wait.

    A batch is of the length that most wait for; of these first come those that have most to go, so that the slowest
    settings are not left alone at the end.

    Args:
        lengths: of the padded prompt of each question.
        joins: whether a batch may have prompts of several lengths, the shorter ones padded to the longest.
        fill: states up to which a batch of one length is filled with those of the next, where it may.
    """

    def __init__(self, lengths: Sequence[int], *, joins: bool, fill: int) -> None:
        self._lengths, self._joins, self._fill = lengths, joins, fill
        self._queues: dict[int, list[_Entry]] = {length: [] for length in lengths}
        self._numbers = count()

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def put(self, states: Iterable[State]) -> None:
        """Let states wait."""
        for state in states:
            # Of states with as much to go the first come first.
            heappush(self._queues[self._lengths[state.question]], (-state.masked, next(self._numbers), state))

    def clear(self) -> None:
        """Let none wait any more."""
        for queue in self._queues.values():
            queue.clear()

    def ready(self) -> int:
        """States that could go through the model together, however many a batch has."""
        return sum(len(self._queues[length]) for length in self._chosen())

    def take(self, most: int) -> list[State]:
        """The next batch, of at most so many."""
        found: list[State] = []
        for length in self._chosen():
            queue = self._queues[length]
            while queue and len(found) < most:
                found.append(heappop(queue)[-1])
        return found

    def _chosen(self) -> list[int]:
        """The length that most wait for, and where these are too few to fill a batch, those that are nearest to it."""
        first = max(self._queues, key=lambda length: len(self._queues[length]))
        chosen, queued = [first], len(self._queues[first])
        for length in sorted(self._queues, key=lambda length: abs(length - first))[1:] if self._joins else ():
            if queued >= self._fill:
                break
            if self._queues[length]:
                chosen.append(length)
                queued += len(self._queues[length])
        return chosen
