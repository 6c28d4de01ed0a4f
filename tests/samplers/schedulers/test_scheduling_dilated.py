"""DUS: strides, what is skipped, and that nothing stays a mask."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import Window, confident_logits, property_test, walk, windows

from samplers import DilatedScheduler

MASK = 3


def groups(scheduler: DilatedScheduler, window: int) -> list[list[int]]:
    outputs = walk(scheduler, Window(torch.full((1, window), MASK), 4, MASK, seed=1))
    return [output.transfer_index[0].nonzero().flatten().tolist() for output in outputs]


def test_strides_halve_and_positions_are_their_multiples() -> None:
    assert DilatedScheduler().strides(32) == [16, 8, 4, 2, 1]
    assert groups(DilatedScheduler(), 8) == [[0, 4], [2, 6], [1, 3, 5, 7]]
    assert DilatedScheduler(base=3).strides(20) == [6, 2, 1]
    assert groups(DilatedScheduler(base=3), 9) == [[0, 3, 6], [1, 2, 4, 5, 7, 8]]
    assert groups(DilatedScheduler(), 1) == [[0]]


@property_test(60)
@given(window=windows(), base=st.integers(2, 4), skip_below=st.sampled_from([None, 0.3, 0.6, 1.0]))
def test_a_block_takes_no_more_steps_than_strides(window: Window, base: int, skip_below: float | None) -> None:
    scheduler = DilatedScheduler(base=base, skip_below=skip_below)
    scheduler.set_timesteps(block_length=window.sample.shape[1])
    assert len(walk(scheduler, window)) <= len(scheduler.timesteps) == len(scheduler.strides(window.sample.shape[1]))


def test_order_ignores_the_logits() -> None:
    first = walk(DilatedScheduler(), Window(torch.full((1, 7), MASK), 4, MASK, seed=1))
    other = walk(DilatedScheduler(), Window(torch.full((1, 7), MASK), 4, MASK, seed=2))
    assert [one.transfer_index.tolist() for one in first] == [one.transfer_index.tolist() for one in other]


def test_a_stride_without_masks_is_passed_over() -> None:
    sample = torch.tensor([[0, MASK, MASK, MASK, 0, MASK, MASK, MASK], [MASK] * 8])
    output = DilatedScheduler().step(torch.zeros(2, 8, 4), 0, sample, mask_token_id=MASK)
    assert [row.nonzero().flatten().tolist() for row in output.transfer_index] == [[2, 6], [0, 4]]


def test_skipped_positions_come_back_and_equality_is_not_skipped() -> None:
    half = torch.tensor([0.0, 0.0, -torch.inf, 0.0])
    sample = torch.full((1, 4), MASK)
    logits = half.expand(1, 4, 4)
    output = DilatedScheduler(skip_below=0.5).step(logits, 0, sample, mask_token_id=MASK)
    assert output.transfer_index.tolist() == [[True, False, True, False]]
    scheduler = DilatedScheduler(skip_below=0.6)
    doubtful = confident_logits([0.5, 0.9, 0.55, 0.4])
    first = scheduler.step(doubtful, 0, sample, mask_token_id=MASK)
    assert first.transfer_index.tolist() == [[False, False, True, False]]
    second = scheduler.step(doubtful, 1, first.prev_sample, mask_token_id=MASK)
    assert second.transfer_index.tolist() == [[True, True, False, True]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"base": 1}, "base=1 should be a whole number of at least 2"),
        ({"skip_below": 1.1}, r"skip_below=1\.1 should be in \[0, 1\]"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DilatedScheduler(**arguments)
