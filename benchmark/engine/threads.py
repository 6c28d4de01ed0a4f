"""Runs jobs side by side in threads, with torch's own threads dealt out among them, until they are told to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event, current_thread, main_thread
from typing import Any, TypeVar

Job = TypeVar("Job")


class Stopped(Exception):
    """What is being done was told to stop before it was complete."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came; it does what Ctrl-C does, but for the exit code, by which a batch system knows its own signal."""

    exit_code = 128 + signal.SIGTERM


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """Let SIGTERM, by which batch systems and containers end a process, raise `Terminated`."""
    if current_thread() is not main_thread():
        # Python lets the main thread alone decide about signals.
        yield
        return

    came = Event()

    def terminate(*_: Any) -> None:
        came.set()
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as stop:
        # Where Ray is being waited for, it raises a KeyboardInterrupt of its own, whatever the signal.
        if came.is_set() and not isinstance(stop, Terminated):
            raise Terminated from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def run_side_by_side(jobs: Sequence[Job], work: Callable[[Job], None], stop: Event, *, workers: int | None) -> None:
    """Do all jobs, `workers` at a time (None: as many as torch has threads).

    When one fails, or the user interrupts, `stop` is set, upon which `work` should return soon, and the error is
    raised.
    """
    if not jobs:
        return
    import torch

    threads = torch.get_num_threads()
    workers = min(workers or threads, len(jobs))
    # One thread per job beats several threads per operation: the tensors are small.
    torch.set_num_threads(max(1, threads // workers))
    try:
        # Threads even for one job at a time: the main thread is free for Ctrl-C then.
        with ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(work, job) for job in jobs]
            try:
                waiting = set(futures)
                while waiting:
                    done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
            except BaseException:
                stop.set()
                for future in futures:
                    future.cancel()
                raise
    finally:
        torch.set_num_threads(threads)
