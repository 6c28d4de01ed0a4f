"""Independent sets against the greedy walk that they stand for."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import property_test, row_generator

from samplers import ModelView
from samplers.schedulers.independence import ROUNDS, independent_set, mean_attention


def walk(order: list[int], candidates: list[bool], conflicts: list[list[bool]]) -> set[int]:
    """Positions in their order, each taken that conflicts with none taken before."""
    taken: list[int] = []
    for position in sorted(range(len(order)), key=order.__getitem__):
        if candidates[position] and not any(conflicts[position][other] for other in taken):
            taken.append(position)
    return set(taken)


@property_test(80)
@given(
    seed=st.integers(0, 10_000),
    batch=st.integers(1, 3),
    window=st.integers(1, ROUNDS),
    dense=st.sampled_from([0.02, 0.2, 0.9]),
)
def test_it_is_what_the_walk_takes(seed: int, batch: int, window: int, dense: float) -> None:
    noise = row_generator(seed)
    order = torch.rand(batch, window, generator=noise).argsort(dim=1)
    candidates = torch.rand(batch, window, generator=noise) < 0.8
    conflicts = torch.rand(batch, window, window, generator=noise) < dense
    found = independent_set(order, candidates, conflicts)
    for row in range(batch):
        expected = walk(order[row].tolist(), candidates[row].tolist(), conflicts[row].tolist())
        assert set(found[row].nonzero().flatten().tolist()) == expected


def test_a_chain_longer_than_the_rounds_stops_early_and_stays_independent() -> None:
    window = 3 * ROUNDS
    order = torch.arange(window).unsqueeze(0)
    conflicts = torch.zeros(1, window, window, dtype=torch.bool)
    conflicts[0, torch.arange(1, window), torch.arange(window - 1)] = True
    found = independent_set(order, torch.ones(1, window, dtype=torch.bool), conflicts)[0]
    taken = found.nonzero().flatten().tolist()
    assert taken == list(range(0, 2 * ROUNDS, 2))


def test_attention_is_the_mean_over_layers_without_itself() -> None:
    weights = torch.tensor([[[0.2, 0.6], [0.5, 0.1]], [[0.4, 0.2], [0.1, 0.3]]]).unsqueeze(0)
    found = mean_attention(ModelView(torch.zeros(1, 2, 3), attentions=weights), "Some")
    torch.testing.assert_close(found, torch.tensor([[[0.0, 0.4], [0.3, 0.0]]]))
    with pytest.raises(ValueError, match="Some reads attentions"):
        mean_attention(ModelView(torch.zeros(1, 2, 3)), "Some")
