"""Random order: every position is as likely to come first as any other, and the generator decides."""

import torch
from scheduler_cases import Window, row_generator, walk

from samplers import RandomScheduler

SAMPLE = torch.full((6000, 6), 3)


def first_committed(seed: int) -> torch.Tensor:
    logits = torch.arange(6.0).view(1, 6, 1).expand(6000, 6, 4)
    output = RandomScheduler().step(logits, 0, SAMPLE, mask_token_id=3, generator=row_generator(seed))
    return output.transfer_index.int().argmax(dim=1)


def test_every_position_comes_first_equally_often() -> None:
    counts = first_committed(0).bincount(minlength=6)
    # Pearson's chi-square below its 99.9 % quantile for five degrees of freedom.
    assert ((counts - 1000.0) ** 2 / 1000).sum() < 20.5


def test_generator_decides_the_order() -> None:
    assert torch.equal(first_committed(1), first_committed(1))
    assert not torch.equal(first_committed(1), first_committed(2))


def test_committed_positions_are_not_drawn_again() -> None:
    outputs = walk(RandomScheduler(), Window(SAMPLE[:50], 4, 3, seed=0), generators=row_generator(4))
    assert len(outputs) == 6
    assert (torch.stack([output.transfer_index for output in outputs]).sum(dim=0) == 1).all()


def test_greedy_tokens_do_not_depend_on_the_noise() -> None:
    window = Window(SAMPLE[:5], 4, 3, seed=0)
    logits = window.logits(0)
    outputs = [
        RandomScheduler().step(logits, 0, window.sample, mask_token_id=3, generator=row_generator(seed))
        for seed in (1, 2)
    ]
    assert torch.equal(outputs[0].sampled_tokens, outputs[1].sampled_tokens)
