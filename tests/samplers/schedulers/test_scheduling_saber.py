"""Saber: its moving threshold, and what it takes back."""

from typing import Any

import pytest
import torch
from scheduler_cases import Window, confident_logits, logits_of, walk

from samplers import SaberScheduler

MASK = 3


def states(scheduler: SaberScheduler, steps: list[Any]) -> list[list[int]]:
    """Positions that are committed after each step."""
    sample, found = torch.full((1, steps[0].shape[1]), MASK), []
    for logits in steps:
        sample = scheduler.step(logits, 0, sample, mask_token_id=MASK).prev_sample
        found.append((sample[0] != MASK).nonzero().flatten().tolist())
    return found


def test_first_step_commits_the_k_surest_and_takes_nothing_back() -> None:
    logits = confident_logits([0.5, 0.99, 0.98, 0.97])
    assert states(SaberScheduler(), [logits]) == [[1, 2]]
    assert states(SaberScheduler(k=3), [logits]) == [[1, 2, 3]]


def test_later_steps_commit_what_beats_the_mean_and_mask_the_deepest_fall_again() -> None:
    first = confident_logits([0.8, 0.6, 0.5, 0.5, 0.5, 0.5])
    # The mean so far is 0.7: positions 2 to 4 beat it. Token 0 has fallen by 0.1, token 1 by 0.2.
    second = confident_logits([0.7, 0.4, 0.71, 0.72, 0.73, 0.5])
    assert states(SaberScheduler(), [first, second]) == [[0, 1], [0, 2, 3, 4]]


def test_mean_counts_the_last_commit_of_tokens_that_were_taken_back() -> None:
    first = confident_logits([0.8, 0.6, 0.5, 0.5, 0.5, 0.5])
    second = confident_logits([0.7, 0.4, 0.71, 0.72, 0.73, 0.5])
    # Committed so far with 0.8, 0.6 (taken back), 0.71, 0.72, 0.73: their mean is 0.712.
    scheduler = SaberScheduler(k=1)
    sample = torch.full((1, 6), MASK)
    scheduler.step(first, 0, sample, mask_token_id=MASK)
    scheduler = SaberScheduler()
    sample = scheduler.step(first, 0, sample, mask_token_id=MASK).prev_sample
    sample = scheduler.step(second, 0, sample, mask_token_id=MASK).prev_sample
    known = scheduler._state["committed_at"][0].tolist()
    assert known == pytest.approx([0.8, 0.6, 0.71, 0.72, 0.73, -1])


def test_confidence_that_equals_the_mean_is_left_out() -> None:
    half = torch.tensor([0.0, 0.0, -torch.inf, 0.0]).expand(1, 6, 4)
    assert states(SaberScheduler(k=1), [half, half]) == [[0], [0, 1]]


def test_a_finished_block_is_not_revised() -> None:
    logits = confident_logits([0.9, 0.8, 0.7])
    outputs = walk(SaberScheduler(k=3), Window(torch.full((2, 3), MASK), 4, MASK, seed=3))
    assert len(outputs) == 1
    assert states(SaberScheduler(k=3), [logits]) == [[0, 1, 2]]


def test_numbers_taken_back_follow_what_was_committed() -> None:
    # k = 5: max(floor(5 / 2), ceil(5 / 8)) = 2 of the five tokens of the first step go back in the second.
    first, second = confident_logits([0.9] * 5 + [0.4] * 8), confident_logits([0.5] * 5 + [0.4] * 8)
    assert [len(state) for state in states(SaberScheduler(k=5), [first, second])] == [5, 5 + 5 - 2]
    # 12 committed at once: ceil(12 / 8) = 2, where floor(2 / 2) would be 1.
    first = confident_logits([0.45, 0.44] + [0.4] * 14)
    second = confident_logits([0.3, 0.3] + [0.6] * 12 + [0.35] * 2)
    found = states(SaberScheduler(), [first, second])
    assert found[0] == [0, 1]
    assert found[1] == list(range(2, 14))


def test_tokens_it_did_not_commit_are_never_masked() -> None:
    sample = torch.tensor([[2, MASK, MASK, MASK, MASK, 1]])
    scheduler = SaberScheduler(k=2)
    logits = logits_of([[[0.0, 0.9, 0.1, 0.0]] * 6])
    for _ in range(3):
        sample = scheduler.step(logits, 0, sample, mask_token_id=MASK).prev_sample
        assert (sample[0, 0], sample[0, 5]) == (2, 1)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="k=0 should be a whole number of at least 1"):
        SaberScheduler(k=0)
