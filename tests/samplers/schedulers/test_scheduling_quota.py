"""A fixed number of tokens per step: k, the even quota, and Dream's linear time."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scheduler_cases import Window, property_test, walk, windows

from samplers import (
    ConfidenceScheduler,
    EntropyScheduler,
    LeftToRightScheduler,
    MarginScheduler,
    RandomScheduler,
    scheduler_class,
)
from samplers.schedulers.scheduling_quota import QuotaScheduler

CLASSES = (RandomScheduler, LeftToRightScheduler, ConfidenceScheduler, MarginScheduler, EntropyScheduler)


def committed_counts(scheduler: Any, window: Window) -> torch.Tensor:
    """How many tokens each row commits at each step, (steps, batch)."""
    return torch.stack([output.transfer_index.sum(dim=1) for output in walk(scheduler, window)])


def masked_window(*counts: int) -> Window:
    """One row per count, with that many masked tokens at its right end."""
    length = max(counts)
    sample = torch.tensor([[0] * (length - count) + [3] * count for count in counts])
    return Window(sample, vocab_size=4, mask_token_id=3, seed=0)


@pytest.mark.parametrize("scheduler_class", CLASSES)
@pytest.mark.parametrize("k", [1, 2, 3, 7, 100])
def test_k_tokens_are_committed_until_fewer_are_left(scheduler_class: type[QuotaScheduler], k: int) -> None:
    counts = committed_counts(scheduler_class(k=k), masked_window(7, 3, 1, 0))
    for row, masks in enumerate((7, 3, 1, 0)):
        expected = [k] * (masks // k) + ([masks % k] if masks % k else [])
        assert counts[:, row].tolist() == expected + [0] * (len(counts) - len(expected))


@property_test(40)
@given(masks=st.lists(st.integers(0, 12), min_size=1, max_size=4).filter(any), steps=st.integers(1, 15))
def test_even_quota_takes_the_steps_asked_for(masks: list[int], steps: int) -> None:
    counts = committed_counts(ConfidenceScheduler(num_inference_steps=steps), masked_window(*masks))
    for row, total in enumerate(masks):
        expected = [total // steps + (step < total % steps) for step in range(steps)]
        assert counts[:, row].tolist() == (expected + [0] * len(counts))[: len(counts)]
    assert len(counts) == min(steps, max(masks))


@property_test(40)
@given(
    masks=st.lists(st.integers(0, 20), min_size=1, max_size=3).filter(any),
    steps=st.integers(1, 12),
    eps=st.sampled_from([0, 1e-3, 0.1, 0.7]),
)
def test_linear_time_commits_what_its_formula_says(masks: list[int], steps: int, eps: float) -> None:
    scheduler = EntropyScheduler(num_inference_steps=steps, schedule="linear_time", eps=eps)
    counts = committed_counts(scheduler, masked_window(*masks))
    t = torch.linspace(1, eps, steps + 1, dtype=torch.float32)
    for row, left in enumerate(masks):
        for step in range(len(counts)):
            share = torch.tensor(float(left)) * (1 - t[step + 1] / t[step])
            due = left if step == steps - 1 else int(share.floor())
            assert counts[step, row] == due
            left -= due
        assert left == 0
    assert len(counts) <= steps


def test_linear_time_may_commit_nothing_but_ends_on_the_last_step() -> None:
    counts = committed_counts(
        ConfidenceScheduler(num_inference_steps=8, schedule="linear_time"), masked_window(2)
    ).flatten()
    assert counts[0] == 0
    assert counts.sum() == 2
    assert len(counts) <= 8


def test_linear_time_is_computed_in_float32() -> None:
    # 20 (1 - 0.55) is 9 in float32 and just below it in double precision.
    scheduler = ConfidenceScheduler(num_inference_steps=2, schedule="linear_time", eps=0.1)
    assert committed_counts(scheduler, masked_window(20)).flatten().tolist() == [9, 11]


def test_quota_counts_the_masks_of_each_block_anew() -> None:
    scheduler = ConfidenceScheduler(num_inference_steps=3)
    for total, expected in ((7, [3, 2, 2]), (4, [2, 1, 1]), (2, [1, 1])):
        assert committed_counts(scheduler, masked_window(total)).flatten().tolist() == expected


def test_steps_come_from_the_constructor_then_from_set_timesteps_then_k_is_one() -> None:
    by_constructor = ConfidenceScheduler(num_inference_steps=2)
    by_constructor.set_timesteps(4, block_length=8)
    assert committed_counts(by_constructor, masked_window(8)).flatten().tolist() == [4, 4]
    by_call = ConfidenceScheduler()
    by_call.set_timesteps(4, block_length=8)
    assert len(by_call.timesteps) == by_call.num_inference_steps == 4
    assert committed_counts(by_call, masked_window(8)).flatten().tolist() == [2, 2, 2, 2]
    by_call.set_timesteps(block_length=8)
    assert committed_counts(by_call, masked_window(8)).flatten().tolist() == [1] * 8
    by_k = ConfidenceScheduler(k=3)
    by_k.set_timesteps(4, block_length=8)
    assert len(by_k.timesteps) == 3
    assert committed_counts(by_k, masked_window(8)).flatten().tolist() == [3, 3, 2]


@property_test(25)
@given(window=windows(max_batch=3), k=st.integers(1, 4))
def test_the_committed_are_the_surest(window: Window, k: int) -> None:
    for cls, largest in ((ConfidenceScheduler, False), (LeftToRightScheduler, True)):
        sample = window.sample
        for output in walk(cls(k=k), window):
            probabilities = output.sampled_probs.tolist()
            for row, tokens in enumerate(sample.tolist()):
                masked = [position for position, token in enumerate(tokens) if token == window.mask_token_id]
                score = dict(enumerate(probabilities[row]))
                order = masked if largest else sorted(masked, key=lambda position: (-score[position], position))
                assert output.transfer_index[row].nonzero().flatten().tolist() == sorted(order[:k])
            sample = output.prev_sample


@pytest.mark.parametrize("scheduler_class", CLASSES)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k=0 should be a whole number of at least 1"),
        ({"k": 1.5}, "k=1.5 should be a whole number"),
        ({"num_inference_steps": -2}, "num_inference_steps=-2 should be a whole number of at least 1"),
        ({"k": 2, "num_inference_steps": 4}, "k=2 and num_inference_steps=4 both say"),
        ({"schedule": "square"}, "schedule='square' should be one of even, linear_time, cosine"),
        ({"eps": 1.0}, r"eps=1\.0 should be in \[0, 1\)"),
        ({"eps": -0.1}, r"eps=-0\.1 should be in \[0, 1\)"),
        ({"eps": None}, r"eps=None should be in \[0, 1\)"),
    ],
)
def test_bad_arguments_are_named(
    scheduler_class: type[QuotaScheduler], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        scheduler_class(**arguments)


@pytest.mark.parametrize(
    ("masks", "steps", "expected"),
    [
        (32, 4, [3, 7, 10, 12]),
        (12, 3, [2, 4, 6]),
        (3, 8, [1, 1, 1]),
        (8, 1, [8]),
        (1, 5, [1]),
    ],
)
def test_cosine_leaves_the_share_that_its_formula_says(masks: int, steps: int, expected: list[int]) -> None:
    scheduler = ConfidenceScheduler(num_inference_steps=steps, schedule="cosine")
    outputs = walk(scheduler, Window(torch.full((2, masks), 3), 4, 3, seed=1))
    assert [int(output.transfer_index[0].sum()) for output in outputs] == expected


def test_cosine_counts_what_was_masked_at_the_start_of_each_row() -> None:
    sample = torch.full((2, 32), 3)
    sample[1, :20] = 0
    outputs = walk(ConfidenceScheduler(num_inference_steps=3, schedule="cosine"), Window(sample, 4, 3, seed=1))
    assert [output.transfer_index.sum(dim=1).tolist() for output in outputs] == [[5, 2], [11, 4], [16, 6]]


@pytest.mark.parametrize("name", ["RCRScheduler", "ReMDMScheduler", "KLASSScheduler", "PositionCalibratedScheduler"])
def test_every_class_with_a_quota_takes_every_schedule(name: str) -> None:
    cls = scheduler_class(name)
    arguments = {"remask_steps": 0} if name == "ReMDMScheduler" else {}
    for schedule in ("even", "cosine", "linear_time"):
        scheduler = cls(num_inference_steps=3, schedule=schedule, **arguments)
        assert scheduler.config.schedule == schedule
        outputs = walk(scheduler, Window(torch.full((1, 39), 3), 4, 3, seed=1))
        left = [int((output.prev_sample == 3).sum()) for output in outputs]
        assert left == {"even": [26, 13, 0], "cosine": [33, 19, 0], "linear_time": [27, 14, 0]}[schedule], schedule
