"""Ranks, the surest positions, and quotas."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import property_test

from samplers.schedulers.selection import even_quota, linear_time_fractions, or_surest, ranks, surest

SCORES = st.lists(st.sampled_from([-math.inf, -3.0, -0.5, 0.0, 0.25, 0.25000003, 1.0]), min_size=1, max_size=8)


@property_test(60)
@given(scores=SCORES, data=st.data())
def test_ranks_sort_by_score_then_position(scores: list[float], data: st.DataObject) -> None:
    eligible = data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    found = ranks(torch.tensor([scores]), torch.tensor([eligible]))[0].tolist()
    assert sorted(found) == list(range(len(scores)))
    expected = sorted((p for p, ok in enumerate(eligible) if ok), key=lambda p: (-scores[p], p))
    assert [found[position] for position in expected] == list(range(len(expected)))


@property_test(60)
@given(scores=SCORES, count=st.integers(0, 10), data=st.data())
def test_surest_takes_exactly_the_count(scores: list[float], count: int, data: st.DataObject) -> None:
    eligible = data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    expected = sorted((p for p, ok in enumerate(eligible) if ok), key=lambda p: (-scores[p], p))[:count]
    for given_count in (count, torch.tensor([count])):
        found = surest(torch.tensor([scores]), torch.tensor([eligible]), given_count)
        assert found[0].nonzero().flatten().tolist() == sorted(expected)


def test_surest_counts_row_by_row() -> None:
    scores = torch.tensor([[0.1, 0.2, 0.3]]).expand(3, 3)
    found = surest(scores, torch.ones(3, 3, dtype=torch.bool), torch.tensor([0, 1, 2]))
    assert found.tolist() == [[False, False, False], [False, False, True], [False, True, True]]


@pytest.mark.parametrize("scores", [[0.0] * 300, [1.0, 0.5] * 150])
def test_long_ties_stay_in_order_of_position(scores: list[float]) -> None:
    expected = sorted(range(300), key=lambda position: (-scores[position], position))
    found = ranks(torch.tensor([scores]), torch.ones(1, 300, dtype=torch.bool))
    assert found[0].argsort().tolist() == expected


def test_even_quota_sums_to_the_masks_for_every_number_of_steps() -> None:
    masks, steps = torch.meshgrid(torch.arange(60), torch.arange(1, 70), indexing="ij")
    masks, steps = masks.flatten(), steps.flatten()
    left = masks.clone()
    for step in range(69):
        due = even_quota(left, steps - step)
        expected = torch.where(step < steps, masks // steps + (step < masks % steps), 0)
        assert torch.equal(due, expected)
        left = left - due
    assert (left == 0).all()


def test_everything_is_due_when_no_step_is_left() -> None:
    assert even_quota(torch.tensor([7, 7, 7]), torch.tensor([0, -3, 1])).tolist() == [7, 7, 7]


@pytest.mark.parametrize("steps", [1, 2, 5, 32])
@pytest.mark.parametrize("eps", [0, 1e-3, 0.5])
def test_linear_time_fractions_follow_the_time_grid(steps: int, eps: float) -> None:
    fractions = linear_time_fractions(steps, eps)
    assert fractions.dtype == torch.float32
    assert len(fractions) == steps
    times = torch.linspace(1, eps, steps + 1, dtype=torch.float32)
    for step in range(steps - 1):
        assert fractions[step] == 1 - times[step + 1] / times[step]
    assert fractions[-1] == 1


def test_the_surest_are_taken_in_rows_that_have_chosen_nothing() -> None:
    scores = torch.tensor([[0.1, 0.9, 0.5], [0.1, 0.9, 0.5]])
    chosen = torch.tensor([[True, False, False], [False, False, False]])
    eligible = torch.tensor([[True, True, True], [True, False, True]])
    assert or_surest(chosen, scores, eligible).tolist() == [[True, False, False], [False, False, True]]
    assert or_surest(chosen, scores, eligible, 2).tolist() == [[True, False, False], [True, False, True]]
