"""How far a run has come and how long it still takes, by the states that its settings have come through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from benchmark.engine.passes import forward_passes
from benchmark.engine.planning import Job
from benchmark.models.interface import Answered
from benchmark.protocol.method import Method

#: Model, method and tokens of an answer: what has one number of states.
_Kind = tuple[str, Method, int]


class WorkLeft:
    """The work of some jobs, in seconds of decoding: states times what one takes in that model.

    Settings that share forward passes are finished together, after long in which none is, so settings are no measure
    of time. A state is one forward pass of an answer, shared or not. A method that chooses its speed itself is taken to
    need as many as it has taken for the answers that are there; before there is one, the most that it can take.

    Args:
        jobs: what is to be done.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._left: Counter[_Kind] = Counter()
        self._most: dict[_Kind, tuple[int, bool]] = {}
        for job in jobs:
            for method in job.pending:
                kind = job.model.name, method, job.max_new_tokens
                self._left[kind] += len(job.asked)
                if kind not in self._most:
                    self._most[kind] = _most(method, job.max_new_tokens)
        self._answers: Counter[_Kind] = Counter()
        self._states: Counter[_Kind] = Counter()
        self._answered: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()

    def answered(self, job: Job, answered: Answered) -> None:
        """Questions have been answered under a method."""
        kind = job.model.name, answered.method, job.max_new_tokens
        states = sum(sample["num_forward_passes"] or 1 for sample in answered.samples)
        self._left[kind] -= len(answered.samples)
        self._answers[kind] += len(answered.samples)
        self._states[kind] += states
        self._answered[job.model.name] += states
        self._seconds[job.model.name] += answered.seconds  # type: ignore[assignment]

    def counted(self, job: Job, states: int) -> None:
        """Settings have come through so many states more."""
        self._told[job.model.name] += states

    def states_left(self) -> dict[str, float]:
        """Model → states of its answers that are still to come, those on their way counted as far as they are."""
        left: dict[str, float] = {}
        for kind, answers in self._left.items():
            left[kind[0]] = left.get(kind[0], 0.0) + answers * self._each(kind)
        on_their_way = {name: max(0, self._told[name] - self._answered[name]) for name in left}
        return {name: max(0.0, states - on_their_way[name]) for name, states in left.items()}

    def share_done(self) -> float:
        """Of all the work, from 0 to 1."""
        left = self.states_left()
        costs = self._costs(list(left))
        done = sum(costs[name] * max(self._told[name], self._answered[name]) for name in left)
        rest = sum(costs[name] * states for name, states in left.items())
        return done / (done + rest) if done + rest else 1.0

    def seconds_left(self, elapsed: float) -> float | None:
        """Seconds that the rest takes, where what is done took `elapsed`; None before anything is."""
        share = self.share_done()
        return elapsed * (1 - share) / share if share else None

    def _each(self, kind: _Kind) -> float:
        most, exact = self._most[kind]
        return most if exact or not self._answers[kind] else self._states[kind] / self._answers[kind]

    def _costs(self, names: Sequence[str]) -> dict[str, float]:
        """Model → seconds of a state; of one that has not answered yet, as of the dearest that has."""
        known = {name: self._seconds[name] / self._answered[name] for name in names if self._answered[name]}
        dearest = max((cost for cost in known.values() if cost), default=1.0)
        return {name: known.get(name) or dearest for name in names}


def _most(method: Method, new_tokens: int) -> tuple[int, bool]:
    """States of an answer, and whether there are exactly as many, or at most."""
    if ":" in method.name:
        # What somebody else's code does is found out by running it where its errors are told as its own.
        return new_tokens, False
    passes, exact = forward_passes(method, new_tokens)
    # Of what a server does nothing is known: an answer is the unit there.
    return max(passes, 1), exact


def in_words(seconds: float) -> str:
    """A time as people say it: `40 s`, `3 min`, `2 h 10 min`, `1 d 3 h`."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours + (minutes >= 30), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
