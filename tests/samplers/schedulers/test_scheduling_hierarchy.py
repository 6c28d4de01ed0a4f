"""Hierarchy: one token for every run of masks."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import Window, confident_logits, property_test, windows

from samplers import HierarchyScheduler

MASK = 3


@property_test(60)
@given(window=windows(), threshold=st.sampled_from([0.5, 0.9]), low=st.sampled_from([0.0, 0.3, 0.6]))
def test_commits_what_plain_python_commits(window: Window, threshold: float, low: float) -> None:
    output = HierarchyScheduler(threshold=threshold, low_threshold=low).step(
        window.logits(0), 0, window.sample, mask_token_id=window.mask_token_id
    )
    for row, tokens in enumerate(window.sample.tolist()):
        confidence = output.sampled_probs[row].tolist()
        runs: list[list[int]] = []
        for place, token in enumerate(tokens):
            if token == window.mask_token_id:
                if place == 0 or tokens[place - 1] != window.mask_token_id:
                    runs.append([])
                runs[-1].append(place)
        masked = [place for run in runs for place in run]
        best = [max(run, key=lambda place: (confidence[place], -place)) for run in runs]
        expected = {place for place in best if confidence[place] > low}
        expected |= {place for place in masked if confidence[place] > threshold}
        if masked and not expected:
            expected = {max(masked, key=lambda place: (confidence[place], -place))}
        assert output.transfer_index[row].nonzero().flatten().tolist() == sorted(expected)


def test_both_thresholds_leave_out_equality() -> None:
    half = torch.tensor([0.0, 0.0, -torch.inf, 0.0]).expand(1, 5, 4)
    sample = torch.tensor([[MASK, MASK, 0, MASK, MASK]])

    def committed(**arguments: Any) -> list[int]:
        output = HierarchyScheduler(**arguments).step(half, 0, sample, mask_token_id=MASK)
        return output.transfer_index[0].nonzero().flatten().tolist()

    assert committed(threshold=0.9, low_threshold=0.49) == [0, 3]
    assert committed(threshold=0.9, low_threshold=0.5) == [0]
    assert committed(threshold=0.5, low_threshold=0.49) == [0, 3]
    assert committed(threshold=0.49, low_threshold=0.49) == [0, 1, 3, 4]


def test_a_gap_between_known_tokens_is_halved() -> None:
    sample = torch.tensor([[MASK, MASK, MASK, MASK, MASK]])
    scheduler = HierarchyScheduler(threshold=0.99)
    first = scheduler.step(confident_logits([0.5, 0.6, 0.7, 0.6, 0.5]), 0, sample, mask_token_id=MASK)
    second = scheduler.step(confident_logits([0.5, 0.6, 0.7, 0.6, 0.5]), 0, first.prev_sample, mask_token_id=MASK)
    assert first.transfer_index.tolist() == [[False, False, True, False, False]]
    assert second.transfer_index.tolist() == [[False, True, False, True, False]]


@pytest.mark.parametrize("name", ["threshold", "low_threshold"])
def test_bad_arguments_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}=2 should be in \[0, 1\]"):
        HierarchyScheduler(**{name: 2})
