"""Hands portions out to workers, and again where a worker dies; what kills two workers is given up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from benchmark.engine.portions import Counted, Died, Done, Failed, Message, Portion, Ready, Work
from benchmark.models.interface import Answered
from benchmark.protocol.user_code import UserCodeError

# A portion that was being worked on when so many workers died is not tried again.
_DEATHS_OF_A_PORTION = 2
# A worker that dies at so many portions in a row, or so often before it is ready, is not started again.
_DEATHS_OF_A_WORKER = 3
# How long to wait for word from workers before looking whether the run is to stop.
_WAIT_SECONDS = 0.2


class Workers(Protocol):
    """Processes that do portions of work, wherever they are.

    Attributes:
        count: how many there are; they are numbered from 0.
    """

    count: int

    def start(self, worker: int) -> None:
        """Start a worker, in place of the one of this number that there may be; it tells `Ready`, or `Died`."""
        ...

    def give(self, worker: int, work: Work) -> None:
        """Let a worker that is ready and has nothing to do do this work."""
        ...

    def told(self, seconds: float) -> Sequence[tuple[int, Message]]:
        """What workers have told since, in the order in which each told it; waits so long at most for the first."""
        ...

    def stop(self) -> None:
        """End all of them, whatever they are doing."""
        ...


class Listener(Protocol):
    """Is told by a `Dispatcher` how portions go, by one thread."""

    def ready(self, worker: int, message: Ready) -> None:
        """A worker can be given work."""
        ...

    def answered(self, portion: Portion, answered: Answered) -> None:
        """Questions of a portion that had no answer have one."""
        ...

    def counted(self, portion: Portion, states: int, passes: int) -> None:
        """States and passes of a portion; negative where what a worker did is done again."""
        ...

    def notice(self, line: str) -> None:
        """A line for the user."""
        ...

    def gave_up(self, portion: Portion, reason: str) -> None:
        """A portion is not tried again; `Portion.missing` says what has no answer."""
        ...


class Dispatcher:
    """Has workers do portions.

    Which worker does what changes nothing in the answers. A portion is done again, by another worker where there is
    one, when its worker dies; the answers that were given before are kept.

    Args:
        workers: started when there is something to do, and left running for more.
        listener: told how it goes.
    """

    def __init__(self, workers: Workers, listener: Listener) -> None:
        self._workers, self._listener = workers, listener
        self._waiting: deque[Portion] = deque()
        self._running: dict[int, Portion] = {}
        self._alive = set(range(workers.count))
        self._started = False
        self._last_reason = ""
        self._idle: list[int] = []
        #: Worker → at which portions it died since it last did one; None stands for its start.
        self._deaths: dict[int, list[Portion | None]] = {worker: [] for worker in self._alive}

    def run(self, portions: Iterable[Portion], check_stop: Callable[[], None] = lambda: None) -> None:
        """Have all of these done.

        Raises:
            ValueError: the work is refused, or no worker is left.
            RuntimeError: something else went wrong in a worker.
        """
        self._waiting.extend(portions)
        if self._waiting and not self._started:
            self._started = True
            for worker in sorted(self._alive):
                self._workers.start(worker)
        while self._waiting or self._running:
            check_stop()
            if not self._alive:
                raise ValueError(f"no worker is left; the last one died of: {self._last_reason}")
            self._give()
            for worker, message in self._workers.told(_WAIT_SECONDS):
                if worker in self._alive:
                    self._take(worker, message)

    def _give(self) -> None:
        """Give workers that have nothing to do what waits and did not kill them before, if another one can do it."""
        for worker in list(self._idle):
            portion = next((one for one in self._waiting if self._may_do(worker, one)), None)
            if portion is None:
                continue
            self._waiting.remove(portion)
            self._idle.remove(worker)
            self._running[worker] = portion
            self._workers.give(worker, portion.left)

    def _may_do(self, worker: int, portion: Portion) -> bool:
        return worker not in portion.killed or not self._alive - portion.killed.keys()

    def _take(self, worker: int, message: Message) -> None:
        match message:
            case Ready():
                self._idle.append(worker)
                self._listener.ready(worker, message)
            case Died(reason):
                self._died(worker, reason)
            case Failed(line, kind):
                raise _error(line, kind)
            case Done():
                self._deaths[worker].clear()
                portion = self._running.pop(worker)
                self._idle.append(worker)
                if left := portion.left.methods:
                    raise ValueError(
                        f"{portion.job.model.name} on {portion.job.task}: not all questions were answered under "
                        f"{', '.join(map(str, left))}"
                    )
            case Counted(states, passes):
                portion = self._running[worker]
                portion.states += states
                portion.passes += passes
                self._listener.counted(portion, states, passes)
            case Answered():
                portion = self._running[worker]
                samples = portion.new(message)
                # What has been answered is not taken back where the worker dies.
                portion.states -= min(portion.states, sum(sample["num_forward_passes"] or 0 for sample in samples))
                if samples:
                    self._listener.answered(portion, message._replace(samples=samples))
            case _:
                self._listener.notice(message.line)

    def _died(self, worker: int, reason: str) -> None:
        portion = self._running.pop(worker, None)
        if worker in self._idle:
            self._idle.remove(worker)
        if portion is not None:
            self._take_back(portion)
            portion.killed[worker] = reason
            portion.deaths += 1
            if portion.left.methods and portion.deaths >= _DEATHS_OF_A_PORTION:
                self._listener.gave_up(portion, reason)
            elif portion.left.methods:
                self._waiting.appendleft(portion)
        deaths = self._deaths[worker]
        if portion is None or portion not in deaths:
            deaths.append(portion)
        what = "while it was started" if portion is None else f"on {portion.job.model.name}, {portion.job.task}"
        again = len(deaths) < _DEATHS_OF_A_WORKER
        outcome = "it is started again" if again else "it is not started again, having died three times in a row"
        self._listener.notice(f"worker {worker + 1} of {self._workers.count} died {what} ({reason}); {outcome}")
        if again:
            self._workers.start(worker)
            return
        self._alive.remove(worker)
        self._last_reason = reason

    def _take_back(self, portion: Portion) -> None:
        """Of what was counted, take back what will be counted again."""
        states, portion.states = portion.states, 0
        passes, portion.passes = portion.passes, 0
        if states:
            self._listener.counted(portion, -states, -min(states, passes))


def _error(line: str, kind: str) -> Exception:
    if kind == "user":
        return UserCodeError(line)
    return ValueError(line) if kind == "value" else RuntimeError(line)
