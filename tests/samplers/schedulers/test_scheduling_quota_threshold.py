"""Quota with a threshold: all that is sure if it fills the quota, else the quota."""

from typing import Any

import pytest
import torch
from diffusers import BlockRefinementScheduler
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import Window, confident_logits, property_test, windows

from samplers import QuotaThresholdScheduler

MASK = 3


def committed(scheduler: QuotaThresholdScheduler, logits: torch.Tensor, **arguments: Any) -> list[int]:
    sample = torch.full(logits.shape[:2], MASK)
    output = scheduler.step(logits, 0, sample, mask_token_id=MASK, **arguments)
    return output.transfer_index[0].nonzero().flatten().tolist()


def test_more_than_the_quota_goes_where_it_is_sure_and_no_less() -> None:
    logits = confident_logits([0.97, 0.5, 0.96, 0.98, 0.6])
    assert committed(QuotaThresholdScheduler(k=2), logits) == [0, 2, 3]
    assert committed(QuotaThresholdScheduler(k=4), logits) == [0, 2, 3, 4]
    assert committed(QuotaThresholdScheduler(k=2, threshold=0.975), logits) == [0, 3]
    assert committed(QuotaThresholdScheduler(threshold=None, k=1), logits, threshold=0.55) == [0, 2, 3, 4]


def test_confidence_that_equals_the_threshold_is_left_out() -> None:
    half = torch.tensor([0.0, 0.0, -torch.inf, 0.0]).expand(1, 3, 4)
    assert committed(QuotaThresholdScheduler(threshold=0.5), half) == [0]
    assert committed(QuotaThresholdScheduler(threshold=0.4999), half) == [0, 1, 2]


@property_test(40)
@given(window=windows(), threshold=st.sampled_from([0.2, 0.5, 0.9]), steps=st.integers(1, 5))
def test_first_step_is_that_of_block_refinement_in_diffusers(window: Window, threshold: float, steps: int) -> None:
    length = window.sample.shape[1]
    theirs = BlockRefinementScheduler(block_length=length, num_inference_steps=steps, threshold=threshold)
    theirs.set_timesteps(steps)
    logits, mask = window.logits(0), window.mask_token_id
    if mask < window.vocab_size:
        logits[..., mask] = -torch.inf
    sample = torch.full_like(window.sample, mask)
    expected = theirs.step(logits, 0, sample, mask_token_id=mask, temperature=0.0, return_dict=True)
    found = QuotaThresholdScheduler(num_inference_steps=steps, threshold=threshold).step(
        logits, 0, sample, mask_token_id=mask
    )
    assert torch.equal(found.prev_sample, expected.prev_sample)


def test_threshold_has_to_come_from_somewhere() -> None:
    with pytest.raises(ValueError, match=r"threshold=None: .*constructor"):
        committed(QuotaThresholdScheduler(threshold=None), confident_logits([0.5]))
    with pytest.raises(ValueError, match=r"threshold=1\.5 should be in \[0, 1\]"):
        QuotaThresholdScheduler(threshold=1.5)
