"""Entropy order: the least uncertain distribution first."""

import torch
from scheduler_cases import logits_of

from samplers import ConfidenceScheduler, EntropyScheduler

# The first position has the likelier token (entropy 1.19), the second the lower entropy (0.69).
LOGITS = logits_of([[[0.52, 0.16, 0.16, 0.16, 0.0], [0.51, 0.49, 0.0, 0.0, 0.0]]])
SAMPLE = torch.full((1, 2), 4)


def test_lowest_entropy_is_committed_first() -> None:
    assert EntropyScheduler().step(LOGITS, 0, SAMPLE, mask_token_id=4).prev_sample.tolist() == [[4, 0]]
    assert ConfidenceScheduler().step(LOGITS, 0, SAMPLE, mask_token_id=4).prev_sample.tolist() == [[0, 4]]


def test_the_masks_own_logit_does_not_enter_the_entropy() -> None:
    logits = LOGITS.clone()
    logits[..., 4] = 3.0
    assert EntropyScheduler().step(logits, 0, SAMPLE, mask_token_id=4).prev_sample.tolist() == [[4, 0]]
