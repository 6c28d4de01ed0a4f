"""ASS: how many tokens each step of a block commits, and which."""

import pytest
import torch
from scheduler_cases import Window, confident_logits, walk

from samplers import AscendingScheduler, generate
from samplers.schedulers.selection import surest

MASK = 3


def committed_counts(scheduler: AscendingScheduler, length: int) -> list[int]:
    window = Window(torch.full((2, length), MASK), 4, MASK, seed=1)
    return [int(output.transfer_index[0].sum()) for output in walk(scheduler, window)]


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (1, [1]),
        (2, [2]),
        (3, [3]),
        (4, [1, 3]),
        (16, [1, 2, 4, 9]),
        (31, [1, 2, 4, 24]),
        (32, [1, 2, 4, 8, 17]),
    ],
)
def test_step_commits_a_power_of_two_and_the_last_one_all_that_is_left(length: int, expected: list[int]) -> None:
    scheduler = AscendingScheduler()
    assert committed_counts(scheduler, length) == expected
    scheduler.set_timesteps(block_length=length)
    assert len(scheduler.timesteps) == len(expected)


def test_row_with_fewer_masks_is_finished_earlier() -> None:
    sample = torch.full((2, 16), MASK)
    sample[1, 5:] = 0
    outputs = walk(AscendingScheduler(), Window(sample, 4, MASK, seed=1))
    assert [output.transfer_index.sum(dim=1).tolist() for output in outputs] == [[1, 1], [2, 2], [4, 2], [9, 0]]


@pytest.mark.parametrize("score", ["confidence", "margin", "left_to_right"])
def test_the_surest_by_the_score_go_first(score: str) -> None:
    logits = confident_logits([0.4, 0.6, 0.9, 0.5, 0.8, 0.7, 0.45, 0.55])
    sample = torch.full((1, 8), MASK)
    scheduler = AscendingScheduler(score=score)
    order = torch.arange(8.0).neg().unsqueeze(0) if score == "left_to_right" else logits.softmax(dim=-1)[..., 1]
    for count in (1, 2):
        output = scheduler.step(logits, 0, sample, mask_token_id=MASK)
        assert torch.equal(output.transfer_index, surest(order, sample == MASK, count))
        sample = output.prev_sample


def test_it_goes_together_with_the_discount_of_end_tokens() -> None:
    end = 2

    def model(input_ids: torch.Tensor) -> object:
        logits = torch.zeros(*input_ids.shape, 4)
        logits[..., 1], logits[:, -1, end] = 2.0, 9.0
        return type("Output", (), {"logits": logits})

    first_states = []
    for handling in (None, "discount"):
        output = generate(
            model,
            torch.tensor([[0]]),
            scheduler=AscendingScheduler(),
            max_new_tokens=8,
            mask_token_id=MASK,
            eos_token_id=end,
            eos_handling=handling,
            return_trajectory=True,
        )
        assert output.num_forward_passes.tolist() == [3]
        first_states.append((output.trajectory[0] != MASK).nonzero()[0, 1].item())
    assert first_states == [7, 0]


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"score='luck' .*confidence, margin"):
        AscendingScheduler(score="luck")
