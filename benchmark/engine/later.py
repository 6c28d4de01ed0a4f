"""Work that is put off to a thread of its own, such as scoring, while the model goes on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Later:
    """Does what it is called with in the order in which it comes, in one thread.

    Leaving it as a context waits for all that was put off and raises what went wrong there; an error, or Ctrl-C, lets
    it do the work at hand and no more.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._put_off: list[Future[None]] = []

    def __call__(self, work: Callable[[], None]) -> None:
        """Put some work off."""
        self._put_off.append(self._pool.submit(work))

    def __enter__(self) -> Later:
        return self

    def __exit__(self, kind: type[BaseException] | None, *unused: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            self.check()

    def end(self) -> None:
        """Wait for all that was put off; nothing can be put off any more."""
        self._pool.shutdown(wait=True)

    def check(self) -> None:
        """Raise what went wrong so far."""
        done = [future for future in self._put_off if future.done()]
        self._put_off = [future for future in self._put_off if not future.done()]
        for future in done:
            future.result()
