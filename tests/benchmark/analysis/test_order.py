"""Rank correlations of step and position: against their definitions, ties included, and known orders."""

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.analysis.order import kendall_tau, order_of, spearman_rho

rows = st.lists(st.lists(st.integers(1, 6), min_size=7, max_size=7), min_size=1, max_size=5)


def defined_tau(steps: list[int]) -> float:
    signs = [(b > a) - (b < a) for a, b in combinations(steps, 2)]
    untied = sum(sign != 0 for sign in signs)
    return sum(signs) / math.sqrt(len(signs) * untied) if untied else math.nan


def defined_rho(steps: list[int]) -> float:
    ranks = [sum(other < step for other in steps) + (steps.count(step) - 1) / 2 for step in steps]
    if len(set(steps)) < 2:
        return math.nan
    return float(np.corrcoef(ranks, np.arange(len(steps)))[0, 1])


@given(rows, st.data())
def test_both_are_what_their_definitions_say(steps: list[list[int]], data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(0, 7), min_size=len(steps), max_size=len(steps)))
    taus, rhos = (of(np.array(steps), np.array(lengths)) for of in (kendall_tau, spearman_rho))
    for row, length, tau, rho in zip(steps, lengths, taus, rhos, strict=True):
        assert tau == pytest.approx(defined_tau(row[:length]), abs=1e-12, nan_ok=True)
        assert rho == pytest.approx(defined_rho(row[:length]), abs=1e-12, nan_ok=True)


def test_left_to_right_is_one_and_right_to_left_minus_one() -> None:
    steps, lengths = np.array([[1, 2, 3, 4], [4, 3, 2, 1], [2, 2, 2, 2]]), np.array([4, 4, 4])
    for of in (kendall_tau, spearman_rho):
        assert of(steps, lengths)[:2].tolist() == [1, -1]
        assert np.isnan(of(steps, lengths)[2])


def sample(steps: list[int], answer: int) -> dict[str, Any]:
    return {"commit_steps": steps, "num_answer_tokens": answer}


def test_the_answer_alone_may_have_another_order_than_all_that_was_generated() -> None:
    # End tokens first, from the right, then the answer from the left.
    order = order_of([sample([4, 5, 6, 3, 2, 1], 3), sample([1, 1, 1], 2)])
    assert order is not None
    assert order.kendall_answer == order.spearman_answer == 1
    assert order.kendall == pytest.approx(defined_tau([4, 5, 6, 3, 2, 1]))
    assert order.spearman == pytest.approx(defined_rho([4, 5, 6, 3, 2, 1]))


def test_without_steps_there_is_no_order() -> None:
    assert order_of([]) is None
    assert order_of([sample([1, 2], 2), {"num_answer_tokens": 2}]) is None
    nothing = order_of([sample([1, 1], 0)])
    assert nothing is not None
    assert math.isnan(nothing.kendall)
    assert math.isnan(nothing.spearman_answer)


def test_lengths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="there are 3 positions"):
        kendall_tau(np.ones((1, 3), dtype=np.int64), np.array([4]))
    with pytest.raises(ValueError, match="shape"):
        spearman_rho(np.ones((1, 3), dtype=np.int64), np.array([1, 2]))
