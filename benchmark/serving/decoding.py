"""The thread that decodes: it takes requests from the server, rolls them through the model and tells how they get on.

One thread runs the model, and the event loop of the server does nothing but wait and write. Requests wait in a queue of
a bounded length. Whenever a block is finished, free rows are given to those that wait (`benchmark.engine.rolling`):
they are decoded together, as many as the batch holds, and who comes later joins between blocks. Where nothing was under
way, the thread waits a moment for others before it begins, so that clients that start together are decoded together.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from benchmark.engine.requests import Request
from benchmark.engine.rolling import RollingBatch

# Seconds: what requests that come together are apart, how long the thread waits for more of them at most, and how often
# it looks whether it is to stop.
_APART, _GATHER = 0.005, 0.05
_LOOK = 0.1
_STOPPING = "the server is stopping"
_log = logging.getLogger("parallelbench.serve")


class Progress(NamedTuple):
    """How a request gets on.

    Attributes:
        text: what of the answer is settled.
        reason: why it ended, None while it goes on.
        error: why there is no answer, in one line.
        status: that of HTTP, where there is an error.
        tokens, steps, passes: tokens of the answer, how often it waited for the model, and its states that went
            through.
        decoded: tokens that were generated, with all that follows the answer's end.
    """

    text: str
    reason: str | None = None
    error: str | None = None
    status: int = 200
    tokens: int = 0
    steps: int = 0
    passes: int = 0
    decoded: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing follows."""
        return self.reason is not None or self.error is not None


class Refused(Exception):
    """A request that is not taken; `status` is that of HTTP."""

    def __init__(self, line: str, status: int) -> None:
        super().__init__(line)
        self.status = status


class DecodingThread:
    """Decodes what it is given until it is closed.

    Args:
        batch: what decodes.
        queue: requests that may wait for a row.
        grace: seconds that answers under way have when the server stops.
    """

    def __init__(self, batch: RollingBatch, *, queue: int, grace: float) -> None:
        self._batch, self._queue, self._grace = batch, queue, grace
        batch.between_steps = self._heed_stop
        self._new: deque[Request] = deque()
        self._tell: dict[Request, Callable[[Progress], None]] = {}
        self._something = threading.Condition()
        self._stopping_since: float | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="decoding", daemon=True)

    @property
    def load(self) -> tuple[int, int]:
        """Requests that have a row, and those that wait for one."""
        return self._batch.rows, len(self._new) + len(self._batch.waiting)

    @property
    def is_alive(self) -> bool:
        """Whether requests are answered."""
        return self._thread.is_alive() and self._stopping_since is None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def submit(self, request: Request, tell: Callable[[Progress], None]) -> None:
        """Take a request; `tell` is called in this thread whenever its answer got on, and at last with its end.

        Raises:
            Refused: too many wait already, or the server is stopping.
        """
        with self._something:
            if self._stopping_since is not None:
                raise Refused(_STOPPING, 503)
            if (waiting := self.load[1]) >= self._queue:
                raise Refused(f"{waiting} requests wait already; come back later", 429)
            self._tell[request] = tell
            self._new.append(request)
            self._something.notify()

    def stop(self) -> None:
        """Take no more requests and refuse those that wait; answers under way go on. May be called by a signal."""
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()

    def close(self) -> None:
        """End the thread; what is not answered by then is told so."""
        self.stop()
        self._closed = True
        self._thread.join(timeout=max(1.0, self._grace))

    def _run(self) -> None:
        while not self._closed:
            self._collect()
            self._heed_stop()
            if not self._batch.rows and not self._batch.waiting:
                continue
            try:
                told = self._batch.go_on()
            except Exception as error:
                # A model of somebody's own may raise what it likes; the server outlives it.
                _log.exception("the model failed")
                self._fail_all(f"the model failed: {type(error).__name__}", 500)
                continue
            for request in told:
                self._report(request)
        self._fail_all(_STOPPING, 503)

    def _collect(self) -> None:
        """Hand new requests to the batch; where there is nothing to do, wait for some."""
        with self._something:
            idle = not self._batch.rows and not self._batch.waiting
            if idle and not self._new:
                self._something.wait(_LOOK)
        began, count = time.monotonic(), 0
        while idle and count < len(self._new) < self._batch.batch_size and time.monotonic() - began < _GATHER:
            count = len(self._new)
            time.sleep(_APART)
        with self._something:
            self._batch.join(self._new)
            self._new.clear()

    def _report(self, request: Request) -> None:
        tell = self._tell.pop(request, None) if request.is_over else self._tell.get(request)
        if tell is None or request.abandoned:
            return
        status = 200 if request.error is None else 413 if request.is_too_large else 500
        tell(
            Progress(
                request.settled_text(),
                request.reason,
                request.error,
                status,
                tokens=request.num_text_tokens,
                steps=request.rounds,
                passes=request.passes,
                decoded=request.finished,
            )
        )

    def _heed_stop(self) -> None:
        """Called between steps: refuse those that wait when the server stops, and give up the others after a while."""
        if self._stopping_since is None:
            return
        late = time.monotonic() - self._stopping_since > self._grace
        with self._something:
            left = [*self._batch.waiting, *self._new]
            self._batch.waiting.clear()
            self._new.clear()
        for request in left + (list(self._tell) if late else []):
            self._refuse(request, _STOPPING, 503)

    def _fail_all(self, line: str, status: int) -> None:
        with self._something:
            requests = [*self._batch.drop_all(), *self._new]
            self._new.clear()
        for request in requests:
            self._refuse(request, line, status)

    def _refuse(self, request: Request, line: str, status: int) -> None:
        request.error = line
        if (tell := self._tell.pop(request, None)) is not None:
            tell(Progress("", error=line, status=status))
