"""DAPD against a plain-Python walk through the masked positions, and on models that give attentions."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from padded_rows import check_rows_alone, some_families
from scheduler_cases import Window, confident_logits, property_test, row_generator, windows
from torch import Tensor

from samplers import DAPDScheduler, ModelView
from samplers.schedulers.proposals import propose

MASK = 3


def random_attention(sample: Tensor, seed: int, layers: int = 2) -> Tensor:
    window = sample.shape[1]
    return torch.rand(len(sample), layers, window, window, generator=row_generator(seed)).softmax(dim=-1)


def walk(masked: list[int], scores: list[float], attention: Any, tau: float) -> list[int]:
    """Positions taken, by total dependence times confidence, that depend on none taken before by more than tau."""
    mean = lambda i, j: sum(layer[i][j] for layer in attention) / len(attention)  # noqa: E731
    depends = {(i, j): 0.0 if i == j else (mean(i, j) + mean(j, i)) / 2 for i in masked for j in masked}
    taken: list[int] = []
    for i in sorted(masked, key=lambda i: (-sum(depends[i, j] for j in masked) * scores[i], i)):
        largest = max(depends[i, j] for j in masked)
        if all(depends[i, j] / largest <= tau for j in taken):
            taken.append(i)
    return sorted(taken)


@property_test(60)
@given(
    window=windows(max_batch=3),
    tau=st.sampled_from([0.0, 0.3, 0.8, 0.95, 1.0]),
    mode=st.sampled_from(["staged", "direct"]),
)
def test_first_step_takes_what_the_walk_takes(window: Window, tau: float, mode: str) -> None:
    logits, mask = window.logits(0).double(), window.mask_token_id
    attention = random_attention(window.sample, window.seed).double()
    scheduler = DAPDScheduler(mode=mode, tau_min=tau, tau_max=tau)
    output = scheduler.step(ModelView(logits, attentions=attention), 0, window.sample, mask_token_id=mask)
    scores = propose(logits, mask_token_id=mask).confidence.tolist()
    for row, tokens in enumerate(window.sample.tolist()):
        masked = [position for position, token in enumerate(tokens) if token == mask]
        expected = walk(masked, scores[row], attention[row].tolist(), tau)
        assert output.transfer_index[row].nonzero().flatten().tolist() == expected


def by_hand(weights: list[tuple[int, int, float]], window: int) -> Tensor:
    found = torch.zeros(1, 1, window, window, dtype=torch.double)
    for i, j, weight in weights:
        found[0, 0, i, j] = found[0, 0, j, i] = weight
    return found


def test_dependence_is_relative_to_each_positions_largest() -> None:
    # 0 leans on 1 with its largest weight; 2 leans on 0 with a tenth of its own largest, and on 1 with nothing.
    attention = by_hand([(0, 1, 0.4), (0, 2, 0.02), (2, 3, 0.2)], 4)
    view = ModelView(confident_logits([0.9, 0.8, 0.5, 0.4]).double(), attentions=attention)
    sample = torch.full((1, 4), MASK)
    for tau, expected in ((0.05, [0, 3]), (0.101, [0, 2]), (1.0, [0, 1, 2, 3])):
        output = DAPDScheduler(tau_min=tau, tau_max=tau).step(view, 0, sample, mask_token_id=MASK)
        # First 0 (0.42 · 0.9), then 1 (0.4 · 0.8), which leans on 0, then 2 (0.22 · 0.5), then 3 (0.2 · 0.4), on 2.
        assert output.transfer_index[0].nonzero().flatten().tolist() == expected


def test_tau_grows_as_masks_vanish_each_row_for_itself() -> None:
    scheduler = DAPDScheduler(tau_min=0.0, tau_max=1.0)
    sample = torch.full((2, 4), MASK)
    everyone = torch.full((2, 1, 4, 4), 0.2, dtype=torch.double)
    logits = confident_logits([0.6, 0.5, 0.4, 0.4]).double().expand(2, -1, -1)
    first = scheduler.step(ModelView(logits, attentions=everyone), 0, sample, mask_token_id=MASK)
    assert first.transfer_index.sum(dim=1).tolist() == [1, 1]
    # A row that was decoded further has a higher tau; here it is moved on from outside, and so starts afresh.
    moved = first.prev_sample.clone()
    moved[1, 1] = 1
    second = scheduler.step(ModelView(logits, attentions=everyone), 1, moved, mask_token_id=MASK)
    assert second.transfer_index.sum(dim=1).tolist() == [1, 1]
    half = torch.full((2, 1, 4, 4), 0.2, dtype=torch.double)
    half[:, :, 2, 3] = half[:, :, 3, 2] = 0.04
    third = scheduler.step(ModelView(logits, attentions=half), 2, second.prev_sample, mask_token_id=MASK)
    # Two of four left: tau 0.5, and their dependence on each other is each one's largest. Of row 1 one is left.
    assert third.transfer_index.sum(dim=1).tolist() == [1, 1]


def test_staged_takes_the_sure_ones_from_half_time_on_and_direct_the_certain_ones_first() -> None:
    everyone = torch.full((1, 1, 4, 4), 0.2)
    sure, sample = confident_logits([0.95, 0.93, 0.92, 0.91]), torch.full((1, 4), MASK)
    staged = DAPDScheduler()
    for step, count in enumerate((1, 1, 2)):
        output = staged.step(ModelView(sure, attentions=everyone), step, sample, mask_token_id=MASK)
        assert output.transfer_index.sum() == count
        sample = output.prev_sample
    certain = torch.full((1, 4, 4), -torch.inf)
    certain[..., 1] = 0.0
    certain[:, 2:, 0] = 0.0
    direct = DAPDScheduler(mode="direct")
    view = ModelView(certain, attentions=everyone)
    output = direct.step(view, 0, torch.full((1, 4), MASK), mask_token_id=MASK)
    # Both certain ones, and the first of the others: what is certain stands in nobody's way.
    assert output.transfer_index.tolist() == [[True, True, True, False]]


def test_what_is_not_masked_plays_no_part() -> None:
    logits = confident_logits([0.5, 0.6, 0.7, 0.4]).double()
    sample = torch.tensor([[MASK, 1, MASK, MASK]])
    attention = random_attention(sample, 0).double()
    changed = attention.clone()
    changed[:, :, 1] = changed[:, :, :, 1] = 5.0
    first, second = (
        DAPDScheduler(tau_min=0.7).step(ModelView(logits, attentions=one), 0, sample, mask_token_id=MASK)
        for one in (attention, changed)
    )
    assert torch.equal(first.transfer_index, second.transfer_index)


@pytest.mark.parametrize("mode", ["staged", "direct"])
@some_families
def test_a_padded_batch_decodes_as_its_rows_alone(family: str, mode: str) -> None:
    check_rows_alone(family, DAPDScheduler(mode=mode, tau_min=0.6, tau_max=0.9))


def test_share_of_the_layers_is_what_it_wants() -> None:
    assert DAPDScheduler().wants.attentions == 0.3
    assert DAPDScheduler(layer_share=1).wants.layers(4) == (0, 1, 2, 3)
    assert not DAPDScheduler().wants.logits


def test_without_attentions_it_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match="DAPDScheduler reads attentions: step"):
        DAPDScheduler().step(torch.zeros(1, 2, 4), 0, torch.full((1, 2), MASK), mask_token_id=MASK)


@pytest.mark.parametrize(
    "arguments", [{"mode": "late"}, {"tau_min": -1}, {"tau_max": 2}, {"layer_share": 0}, {"layer_share": 1.5}]
)
def test_bad_arguments_are_named(arguments: dict[str, Any]) -> None:
    (name,) = arguments
    with pytest.raises(ValueError, match=f"{name}="):
        DAPDScheduler(**arguments)
