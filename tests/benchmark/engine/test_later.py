"""Work that is put off: it is done in order beside what goes on, and its errors come back."""

from threading import Event

import pytest

from benchmark.engine.later import Later


def test_work_is_done_in_order_while_others_go_on() -> None:
    done, gate = [], Event()
    with Later() as later:
        later(lambda: done.append(gate.wait(60)))
        later(lambda: done.append(2))
        assert done == []
        gate.set()
    assert done == [True, 2]


def test_errors_are_raised_when_it_is_looked_for_them_or_at_the_end() -> None:
    with pytest.raises(ZeroDivisionError), Later() as later:
        later(lambda: 1 // 0)


def test_an_error_elsewhere_is_the_one_that_is_told_and_ends_what_has_not_begun() -> None:
    begun, done = Event(), []

    def first() -> None:
        begun.set()
        Event().wait(0.2)
        raise ZeroDivisionError

    def fail() -> None:
        with Later() as later:
            later(first)
            later(lambda: done.append(1))
            assert begun.wait(60)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert done == []
