"""Many pieces of waiting at once: coroutines run in a thread of their own, their results handed out as they come."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from threading import Thread
from typing import Any, TypeVar

Tool = TypeVar("Tool")
Item = TypeVar("Item")
Result = TypeVar("Result")
# How long a stop may go unnoticed.
_SECONDS_TO_A_STOP = 0.1


def in_flight(
    items: Iterable[Item],
    work: Callable[[Tool, Item], Awaitable[Result]],
    tool: Callable[[], AbstractAsyncContextManager[Tool]],
    *,
    concurrency: int,
    check_stop: Callable[[], None] = lambda: None,
) -> Iterator[Result]:
    """The results of `work` on all items, in the order in which they are ready.

    The coroutines have a thread and an event loop to themselves, so that what the caller does meanwhile delays none of
    them, and that it works where a loop runs already, as in a notebook.

    Args:
        items: taken from one by one as work begins, however many there are.
        work: called with the tool and an item.
        tool: what all of the work shares, opened in the loop and closed with it.
        concurrency: items worked on at once.
        check_stop: called now and then; what it raises ends everything.

    Raises:
        Exception: what the first `work` raised that failed; the rest is cancelled.
    """
    results: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    waiting = iter(items)

    async def worker(opened: Tool) -> None:
        for item in waiting:
            results.put(("result", await work(opened, item)))

    async def everything() -> None:
        async with tool() as opened, asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(worker(opened))

    def run() -> None:
        try:
            loop.run_until_complete(task)
            results.put(("end", None))
        except BaseException as error:
            results.put(("error", error))
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    loop = asyncio.new_event_loop()
    task = loop.create_task(everything())
    # Nobody waits for answers that nobody takes any more.
    thread = Thread(target=run, name="in flight", daemon=True)
    thread.start()
    ended = False
    try:
        while True:
            check_stop()
            try:
                kind, value = results.get(timeout=_SECONDS_TO_A_STOP)
            except queue.Empty:
                continue
            if kind == "result":
                yield value
                continue
            ended = True
            if kind == "error":
                raise _first(value)
            return
    finally:
        if not ended:
            # All may have come to its end meanwhile, and its loop be closed.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)
        thread.join()


def _first(error: BaseException) -> BaseException:
    """The error itself, or the first of those that tasks of a group raised."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
