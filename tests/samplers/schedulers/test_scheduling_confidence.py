"""Confidence order: the likeliest proposals first."""

import torch
from scheduler_cases import Window, confident_logits, logits_of, walk

from samplers import ConfidenceScheduler


def test_likeliest_proposal_is_committed_first() -> None:
    output = ConfidenceScheduler(k=2).step(
        confident_logits([0.5, 0.9, 0.4, 0.8]), 0, torch.full((1, 4), 3), mask_token_id=3
    )
    assert output.transfer_index.tolist() == [[False, True, False, True]]
    assert output.prev_sample.tolist() == [[3, 1, 3, 1]]


def test_drawn_token_is_scored_by_its_own_probability() -> None:
    # Whatever is drawn, the surest position is the one whose drawn token the model finds likeliest.
    logits = logits_of([[[0.6, 0.4, 0.0], [0.7, 0.3, 0.0], [0.55, 0.45, 0.0]]]).repeat(50, 1, 1)
    output = ConfidenceScheduler(temperature=1.0).step(logits, 0, torch.full((50, 3), 2), mask_token_id=2)
    assert torch.equal(output.transfer_index.int().argmax(dim=1), output.sampled_probs.argmax(dim=1))
    assert len(output.transfer_index.int().argmax(dim=1).unique()) > 1


def test_k_tokens_cost_ceil_of_length_over_k_steps() -> None:
    assert len(walk(ConfidenceScheduler(k=4), Window(torch.full((2, 9), 3), 4, 3, seed=0))) == 3
