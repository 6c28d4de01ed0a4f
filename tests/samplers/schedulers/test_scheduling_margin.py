"""Margin order: the widest gap between the two likeliest tokens first."""

import torch
from scheduler_cases import logits_of

from samplers import ConfidenceScheduler, MarginScheduler

# The first position has the likelier token, the second the wider gap.
LOGITS = logits_of([[[0.50, 0.45, 0.05, 0.0], [0.40, 0.30, 0.30, 0.0]]])
SAMPLE = torch.full((1, 2), 3)


def test_widest_gap_is_committed_first() -> None:
    assert MarginScheduler().step(LOGITS, 0, SAMPLE, mask_token_id=3).prev_sample.tolist() == [[3, 0]]
    assert ConfidenceScheduler().step(LOGITS, 0, SAMPLE, mask_token_id=3).prev_sample.tolist() == [[0, 3]]


def test_margin_of_a_draw_is_still_that_of_the_two_likeliest() -> None:
    logits, sample = LOGITS.repeat(30, 1, 1), SAMPLE.repeat(30, 1)
    output = MarginScheduler(temperature=1.0).step(logits, 0, sample, mask_token_id=3)
    assert output.transfer_index[:, 1].all()
    assert len(output.sampled_tokens[:, 1].unique()) > 1
