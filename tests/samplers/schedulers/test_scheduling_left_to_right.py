"""Left to right: the leftmost masks first, whatever the logits."""

import torch
from scheduler_cases import Window, row_generator, walk

from samplers import LeftToRightScheduler


def test_leftmost_masks_are_committed_in_order() -> None:
    sample = torch.tensor([[3, 0, 3, 3, 3, 3], [0, 3, 3, 0, 0, 3]])
    outputs = walk(LeftToRightScheduler(k=2), Window(sample, vocab_size=4, mask_token_id=3, seed=2))
    chosen = [[row.nonzero().flatten().tolist() for row in output.transfer_index] for output in outputs]
    assert chosen == [[[0, 2], [1, 2]], [[3, 4], [5]], [[5], []]]


def test_order_draws_no_noise() -> None:
    generator = row_generator(0)
    before = generator.get_state()
    LeftToRightScheduler().step(torch.zeros(1, 3, 4), 0, torch.full((1, 3), 3), mask_token_id=3, generator=generator)
    assert torch.equal(generator.get_state(), before)
