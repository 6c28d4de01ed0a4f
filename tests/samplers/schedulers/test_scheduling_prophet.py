"""Prophet: the gap that ends a block, and when which bound holds."""

from typing import Any

import pytest
import torch
from scheduler_cases import Window, walk

from samplers import ConfidenceScheduler, ProphetScheduler

MASK = 3


def with_gaps(*gaps: float) -> Any:
    """Logits (1, window, 4) whose two highest differ by `gaps`."""
    return torch.tensor([[[0.0, gap, -9.0, 50.0] for gap in gaps]])


def steps_taken(scheduler: ProphetScheduler, gap: float, window: int = 12) -> int:
    sample, count = torch.full((1, window), MASK), 0
    while (sample == MASK).any():
        sample = scheduler.step(with_gaps(*[gap] * window), 0, sample, mask_token_id=MASK).prev_sample
        count += 1
    return count


def test_bounds_fall_with_the_share_of_steps_and_include_equality() -> None:
    def count(gap: float) -> int:
        return steps_taken(ProphetScheduler(num_inference_steps=12), gap)

    assert count(7.5) == 1
    # Steps 4 to 8 of 12 are the middle: 4 / 12 is the first share of at least 0.33.
    assert count(7.0) == 5
    assert count(5.0) == 5
    assert count(4.0) == 10
    assert count(2.5) == 10
    assert count(2.0) == 12


def test_gap_is_the_mean_over_masked_positions() -> None:
    sample = torch.tensor([[MASK, MASK, 0, MASK]])

    def committed(*gaps: float) -> int:
        output = ProphetScheduler().step(with_gaps(*gaps), 0, sample, mask_token_id=MASK)
        return int(output.transfer_index.sum())

    assert committed(7.5, 7.5, 0.0, 7.5) == 3
    assert committed(15.0, 0.0, 99.0, 7.5) == 3
    assert committed(15.0, 0.0, 99.0, 7.4) == 1


def test_without_a_gap_it_is_confidence_order() -> None:
    window = Window(torch.full((3, 7), MASK), 4, MASK, seed=5)
    hesitant = walk(ProphetScheduler(k=2, early_gap=99, middle_gap=99, late_gap=99), window)
    plain = walk(ConfidenceScheduler(k=2), window)
    assert [output.prev_sample.tolist() for output in hesitant] == [output.prev_sample.tolist() for output in plain]


def test_steps_of_a_quota_in_tokens_are_those_of_its_block() -> None:
    scheduler = ProphetScheduler(k=1)
    scheduler.set_timesteps(block_length=12)
    assert steps_taken(scheduler, 5.0) == 5


@pytest.mark.parametrize("name", ["early_gap", "middle_gap", "late_gap"])
def test_bad_arguments_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}=-1 should be a number of at least 0"):
        ProphetScheduler(**{name: -1})
