"""What every scheduler has to stand: large vocabularies, half precision that saturates or ties, threads, gradients."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import pytest
import torch
from scheduler_cases import ALL_MASKED, FACTORIES, MAY_PAUSE, Window, every_scheduler, row_generator, walk

from samplers import scheduler_class

VOCABULARY = 200_000


@cache
def large_logits() -> torch.Tensor:
    """(1, 3, vocabulary): noise, and one token that stands out."""
    logits = torch.randn(1, 3, VOCABULARY, generator=row_generator(0)).bfloat16()
    logits[..., 150_000] = 20.0
    return logits


@every_scheduler
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_vocabulary_of_two_hundred_thousand(name: str, temperature: float) -> None:
    mask, logits = VOCABULARY - 7, large_logits()
    scheduler = FACTORIES[name](temperature=temperature)
    sample = torch.full((1, 3), mask)
    for step in range(8):
        output = scheduler.step(logits, step, sample, mask_token_id=mask, generator=row_generator(step))
        assert not output.invalid.any()
        sample = output.prev_sample
    left = sample == mask
    assert not left.any() or name in MAY_PAUSE
    # All but 1e-4 of the mass, and more than a nucleus needs, is on one token.
    assert (sample[~left] == 150_000).all()


@every_scheduler
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_saturated_and_tied_half_precision_is_decoded(name: str, dtype: torch.dtype) -> None:
    logits = torch.zeros(2, 6, 5, dtype=dtype)
    logits[0, :, 1] = 60_000.0  # certain, and close to the largest float16
    logits[0, :, 2] = 60_000.0 if dtype == torch.float16 else 59_900.0
    logits[0, 3:, 2] = -60_000.0
    # Row 1 is one tie between all tokens and positions.
    scheduler = FACTORIES[name](temperature=0.0)
    sample = torch.full((2, 6), 4)
    for step in range(20):
        output = scheduler.step(logits, step, sample, mask_token_id=4, generator=row_generator(step))
        assert not output.invalid.any()
        assert output.sampled_probs.dtype == torch.float32
        sample = output.prev_sample
    assert sample.tolist() == [[1] * 6, [0] * 6]


def steps_of(name: str, seed: int) -> list[Any]:
    window = Window(ALL_MASKED.sample, 5, 4, seed)
    return walk(FACTORIES[name](temperature=1.0), window, generators=[row_generator(seed + row) for row in range(3)])


@every_scheduler
def test_schedulers_in_threads_do_not_notice_each_other(name: str) -> None:
    seeds = range(6)
    expected = [steps_of(name, seed) for seed in seeds]
    with ThreadPoolExecutor(max_workers=3) as pool:
        found = list(pool.map(lambda seed: steps_of(name, seed), seeds))
    for one, other in zip(expected, found, strict=True):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            assert torch.equal(first.prev_sample, second.prev_sample)


@every_scheduler
def test_logits_with_a_gradient_are_taken_and_give_none(name: str) -> None:
    logits = ALL_MASKED.logits(0).requires_grad_()
    scheduler, sample = FACTORIES[name](temperature=1.0), ALL_MASKED.sample
    for _ in range(2):
        output = scheduler.step(logits, 0, sample, mask_token_id=4, generator=row_generator(0))
        assert not output.sampled_probs.requires_grad
        sample = output.prev_sample


@every_scheduler
def test_non_contiguous_logits_and_samples_are_taken(name: str) -> None:
    logits, sample = ALL_MASKED.logits(0), ALL_MASKED.sample
    plain = FACTORIES[name]().step(logits, 0, sample, mask_token_id=4, generator=row_generator(0))
    wide = torch.zeros(3, 12, 10)
    wide[:, ::2, :5] = logits
    ids = sample.repeat_interleave(2, dim=1)
    strided = FACTORIES[name]().step(wide[:, ::2, :5], 0, ids[:, ::2], mask_token_id=4, generator=row_generator(0))
    assert torch.equal(strided.prev_sample, plain.prev_sample)
    assert torch.equal(strided.sampled_probs, plain.sampled_probs)


@pytest.mark.parametrize("score", ["confidence", "margin", "entropy"])
def test_positions_with_the_same_logits_tie_wherever_they_stand(score: str) -> None:
    # Long enough to be worked on in several pieces; ties go to the lowest position.
    logits = torch.randn(1, 1, 30_000, generator=row_generator(3)).expand(2, 80, -1)
    sample = torch.full((2, 80), 30_000)
    output = scheduler_class(score)(k=10).step(logits, 0, sample, mask_token_id=30_000)
    assert output.sampled_probs.unique().numel() == 1
    assert output.transfer_index.nonzero()[:, 1].tolist() == [*range(10)] * 2
