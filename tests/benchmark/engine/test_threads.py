"""Jobs in threads: how many at a time, and what stops them."""

import os
import signal
import threading
import time
from threading import Event

import pytest
import torch

from benchmark.engine.threads import Terminated, run_side_by_side, termination_interrupts


def test_so_many_jobs_run_at_the_same_time_with_torchs_threads_dealt_out() -> None:
    before = torch.get_num_threads()
    together, seen = threading.Barrier(3), []

    def work(job: int) -> None:
        together.wait(30)
        seen.append((job, torch.get_num_threads()))

    run_side_by_side([1, 2, 3], work, Event(), workers=3)
    assert sorted(job for job, _ in seen) == [1, 2, 3]
    assert torch.get_num_threads() == before
    run_side_by_side([], work, Event(), workers=3)


def test_an_error_stops_what_runs_and_what_has_not_begun() -> None:
    stop, begun = Event(), []

    def work(job: int) -> None:
        begun.append(job)
        if job == 1:
            raise ValueError("no")
        assert stop.wait(30)

    with pytest.raises(ValueError, match="no"):
        run_side_by_side(list(range(9)), work, stop, workers=2)
    assert stop.is_set()
    assert sorted(begun)[:2] == [0, 1]
    assert len(begun) < 9


def test_termination_interrupts_a_run_and_afterwards_terminates_again() -> None:
    before = signal.getsignal(signal.SIGTERM)
    stop = Event()

    def work(job: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(30)

    with pytest.raises(Terminated) as stopped, termination_interrupts():
        run_side_by_side([1], work, stop, workers=1)
    assert stopped.value.exit_code == 143
    assert isinstance(stopped.value, KeyboardInterrupt)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_termination_stays_one_where_a_library_raises_its_own_interrupt() -> None:
    def wait_as_ray_does() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None

    with pytest.raises(Terminated) as stopped, termination_interrupts():
        wait_as_ray_does()
    assert stopped.value.exit_code == 143
    with pytest.raises(KeyboardInterrupt) as interrupted, termination_interrupts():
        raise KeyboardInterrupt
    assert not isinstance(interrupted.value, Terminated)


def test_a_thread_that_may_not_decide_about_signals_is_let_be() -> None:
    done = []

    def enter() -> None:
        with termination_interrupts():
            done.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join(30)
    assert done == [signal.getsignal(signal.SIGTERM)]
