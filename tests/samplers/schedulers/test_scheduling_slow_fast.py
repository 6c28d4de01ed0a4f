"""SlowFast: when a span is found, how it is filled, and when the next slow phase begins."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import Window, confident_logits, property_test, windows

from samplers import SlowFastScheduler

#: Of eight tokens, so that a confidence of 0.2 is possible.
MASK = 7
HALF = torch.tensor([0.0, 0.0, *[-torch.inf] * 5, 0.0])


def decode(scheduler: SlowFastScheduler, confidences: list[float], steps: int) -> list[list[int]]:
    """Positions committed at each step, with the same confidences throughout."""
    sample = torch.full((1, len(confidences)), MASK)
    found = []
    for _ in range(steps):
        output = scheduler.step(confident_logits(confidences, 8), 0, sample, mask_token_id=MASK)
        found.append(output.transfer_index[0].nonzero().flatten().tolist())
        sample = output.prev_sample
    return found


def test_a_stable_end_starts_the_fast_phase_and_its_end_the_next_slow_one() -> None:
    found = decode(SlowFastScheduler(), [0.5, 0.95, 0.96, 0.97, 0.29, 0.28, 0.27, 0.26], 6)
    # Two slow steps see the end behind position 3; the fast one takes what is sure in it, the next what is left of it.
    assert found[:4] == [[3], [2], [1], [0]]
    # Nothing is sure right of it: single steps, whose estimates settle one position on.
    assert found[4:] == [[4], [5]]


def test_fast_steps_take_all_that_reaches_the_threshold() -> None:
    sure = [0.95, 0.94, 0.93, 0.92, 0.91, 0.5]
    assert decode(SlowFastScheduler(), sure, 4) == [[0], [1], [2, 3, 4], [5]]
    assert decode(SlowFastScheduler(threshold=0.925), sure, 4) == [[0], [1], [2], [3]]


def test_thresholds_include_equality() -> None:
    logits = HALF.expand(1, 6, 8)
    scheduler, sample = SlowFastScheduler(threshold=0.5, span_threshold=0.5), torch.full((1, 6), MASK)
    for expected in ([0], [1], [2, 3, 4, 5]):
        output = scheduler.step(logits, 0, sample, mask_token_id=MASK)
        assert output.transfer_index[0].nonzero().flatten().tolist() == expected
        sample = output.prev_sample


def test_an_end_that_never_settles_is_averaged_after_the_last_slow_step() -> None:
    # The end of the span jumps from 8 to 2: the deviation is 3.
    wide, narrow = [0.9, 0.9] + [0.4] * 6, [0.9, 0.9] + [0.3] * 6
    scheduler, sample = SlowFastScheduler(slow_steps=2, span_threshold=0.35, threshold=0.2), torch.full((1, 8), MASK)
    found = []
    for confidences in (wide, narrow, wide, narrow):
        output = scheduler.step(confident_logits(confidences, 8), 0, sample, mask_token_id=MASK)
        found.append(output.transfer_index[0].nonzero().flatten().tolist())
        sample = output.prev_sample
    # Two slow steps, estimates 8 and 2, mean 5: the fast step fills up to there.
    assert found[:3] == [[0], [1], [2, 3, 4]]


@property_test(40)
@given(window=windows(max_window=12), slow_steps=st.integers(1, 4), stability_window=st.integers(2, 3))
def test_slow_steps_commit_one_token(window: Window, slow_steps: int, stability_window: int) -> None:
    scheduler = SlowFastScheduler(slow_steps=slow_steps, stability_window=stability_window)
    output = scheduler.step(window.logits(0), 0, window.sample, mask_token_id=window.mask_token_id)
    expected = (window.sample == window.mask_token_id).any(dim=1).long()
    assert output.transfer_index.sum(dim=1).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"slow_steps": 0}, "slow_steps=0 should be a whole number of at least 1"),
        ({"span_threshold": -1}, r"span_threshold=-1 should be in \[0, 1\]"),
        ({"threshold": 2}, r"threshold=2 should be in \[0, 1\]"),
        ({"stability_window": 1}, "stability_window=1 should be a whole number of at least 2"),
        ({"stability_deviation": 0}, "stability_deviation=0 should be a number above 0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SlowFastScheduler(**arguments)
