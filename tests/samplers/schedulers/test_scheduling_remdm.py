"""ReMDM: how many steps it takes, where the extra ones come, and what they revise."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import Window, confident_logits, property_test, walk, windows

from samplers import ConfidenceScheduler, ReMDMScheduler

MASK = 3


@property_test(60)
@given(
    length=st.integers(1, 9),
    steps=st.integers(1, 9),
    remask_steps=st.integers(0, 4),
    remask_tokens=st.integers(1, 12),
    remask_at=st.sampled_from([0, 0.3, 0.5, 7 / 8, 1]),
)
def test_block_takes_its_steps_and_the_extra_ones(
    length: int, steps: int, remask_steps: int, remask_tokens: int, remask_at: float
) -> None:
    scheduler = ReMDMScheduler(
        num_inference_steps=steps, remask_steps=remask_steps, remask_tokens=remask_tokens, remask_at=remask_at
    )
    outputs = walk(scheduler, Window(torch.full((2, length), MASK), 4, MASK, seed=length))
    assert len(outputs) == min(steps, length) + remask_steps
    assert len(scheduler.timesteps) == steps + remask_steps


@property_test(25)
@given(window=windows(), k=st.integers(1, 4), remask_steps=st.integers(1, 3))
def test_every_row_takes_its_own_extra_steps(window: Window, k: int, remask_steps: int) -> None:
    outputs = walk(ReMDMScheduler(k=k, remask_steps=remask_steps), window)
    states = [window.sample, *(output.prev_sample for output in outputs)]
    for row in range(len(window.sample)):
        masks = [int((state[row] == window.mask_token_id).sum()) for state in states]
        expected = -(-masks[0] // k) + remask_steps if masks[0] else 0
        assert sum(count > 0 for count in masks) == expected


def test_no_extra_steps_are_plain_confidence_order() -> None:
    window = Window(torch.full((3, 7), MASK), 4, MASK, seed=5)
    revised = walk(ReMDMScheduler(k=2, remask_steps=0), window)
    plain = walk(ConfidenceScheduler(k=2), window)
    assert [output.prev_sample.tolist() for output in revised] == [output.prev_sample.tolist() for output in plain]


def states(scheduler: ReMDMScheduler, confidences: list[list[float]]) -> list[list[int]]:
    sample, found = torch.full((1, len(confidences[0])), MASK), []
    for step in confidences:
        sample = scheduler.step(confident_logits(step), 0, sample, mask_token_id=MASK).prev_sample
        found.append(sample[0].tolist())
    return found


def test_extra_step_masks_the_least_sure_before_it_looks_again() -> None:
    # Of four regular steps the extra one comes before the third: int(0.5 * 4) = 2 are over by then.
    found = states(
        ReMDMScheduler(k=1, remask_at=0.5),
        [
            [0.8, 0.7, 0.6, 0.5],
            [0.5, 0.9, 0.5, 0.4],  # commits the second token, and masks the first (0.8) again
            [0.5, 0.4, 0.6, 0.4],  # commits one token in its place, the surest of all that are masked
            [0.5, 0.4, 0.4, 0.7],
            [0.4, 0.4, 0.4, 0.4],
        ],
    )
    assert found == [[1, 3, 3, 3], [3, 1, 3, 3], [3, 1, 1, 3], [3, 1, 1, 1], [1, 1, 1, 1]]


def test_revision_comes_after_the_last_step_where_there_are_fewer() -> None:
    # One regular step, place 3 of 4: it returns the tokens to revise as masks already.
    scheduler = ReMDMScheduler(num_inference_steps=1, remask_tokens=2)
    found = states(scheduler, [[0.8, 0.5, 0.9, 0.6], [0.4, 0.4, 0.4, 0.4]])
    assert found == [[1, 3, 1, 3], [1, 1, 1, 1]]


def test_prompt_mask_does_not_hide_that_all_is_committed() -> None:
    scheduler = ReMDMScheduler(num_inference_steps=1)
    output = scheduler.step(
        confident_logits([0.4, 0.8, 0.7]),
        0,
        torch.full((1, 3), MASK),
        mask_token_id=MASK,
        prompt_mask=torch.tensor([True, False, False]),
    )
    assert output.prev_sample.tolist() == [[MASK, 1, MASK]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"remask_steps": -1}, "remask_steps=-1 should be a whole number of at least 0"),
        ({"remask_steps": None}, "remask_steps=None should be a whole number of at least 0"),
        ({"remask_tokens": 0}, "remask_tokens=0 should be a whole number of at least 1"),
        ({"remask_at": 1.5}, r"remask_at=1\.5 should be in \[0, 1\]"),
        ({"remask_at": None}, r"remask_at=None should be in \[0, 1\]"),
        ({"k": 2, "num_inference_steps": 2}, "k=2 and num_inference_steps=2 both say"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReMDMScheduler(**arguments)
