"""Theirs in ours: diffusers' `BlockRefinementScheduler` inside `generate`."""

import pytest
import torch
from diffusers import BlockRefinementScheduler
from scheduler_cases import constant_model, row_generator
from torch import Tensor
from toy_denoiser import ToyDenoiser

from samplers import ConfidenceScheduler, generate

MASK = 47
TOY = ToyDenoiser(sharpness=2.0)
PROMPT = torch.tensor([[5, 17, 30], [8, 2, 41]])
NEVER = 2.0  # a threshold that no probability exceeds


def decode_as_the_pipeline_does(
    scheduler: BlockRefinementScheduler, block_length: int, length: int
) -> tuple[Tensor, int]:
    """The loop of `LLaDA2Pipeline` in short, over a whole sequence instead of a growing one."""
    scheduler.set_timesteps(scheduler.num_inference_steps, block_length=block_length)
    sequences = torch.cat([PROMPT, torch.full((2, length), MASK)], dim=1)
    passes = 0
    for start in range(3, 3 + length, block_length):
        window = slice(start, start + block_length)
        step = 0
        while (sequences[:, window] == MASK).any():
            output = scheduler.step(
                TOY(sequences).logits[:, window], step, sequences[:, window], mask_token_id=MASK, return_dict=True
            )
            sequences[:, window] = output.prev_sample
            step, passes = step + 1, passes + 1
    return sequences, passes


@pytest.mark.parametrize("threshold", [0.3, 0.6, NEVER])
@pytest.mark.parametrize("steps", [2, 3, 8])
def test_it_decodes_as_in_its_own_pipeline(threshold: float, steps: int) -> None:
    def theirs() -> BlockRefinementScheduler:
        return BlockRefinementScheduler(num_inference_steps=steps, threshold=threshold)

    expected, passes = decode_as_the_pipeline_does(theirs(), block_length=4, length=12)
    output = generate(TOY, PROMPT, scheduler=theirs(), max_new_tokens=12, block_length=4, return_trajectory=True)
    assert torch.equal(output.sequences, expected)
    assert len(output.trajectory) == passes


def test_without_its_threshold_it_is_our_confidence_order() -> None:
    theirs, ours = (
        generate(TOY, PROMPT, scheduler=scheduler, max_new_tokens=12, block_length=4)
        for scheduler in (
            BlockRefinementScheduler(num_inference_steps=3, threshold=NEVER),
            ConfidenceScheduler(num_inference_steps=3),
        )
    )
    assert torch.equal(theirs.sequences, ours.sequences)
    assert torch.equal(theirs.num_forward_passes, ours.num_forward_passes)


def test_it_takes_prefill_guidance_end_tokens_and_shaping() -> None:
    prefill = torch.full((2, 8), MASK)
    prefill[:, 3] = 7
    output = generate(
        TOY,
        PROMPT,
        # Editing may replace committed tokens, but none that was given.
        scheduler=BlockRefinementScheduler(num_inference_steps=4, threshold=0.2, editing_threshold=0.1),
        max_new_tokens=8,
        block_length=4,
        prefill=prefill,
        cfg_scale=0.5,
        eos_token_id=3,
        eos_handling="ban",
        temperature=1.0,
        top_k=5,
        generator=row_generator(0),
        return_trajectory=True,
    )
    assert all((state[:, 3] == 7).all() for state in output.trajectory)
    answers = output.sequences[:, 3:]
    assert not ((answers == MASK) | (answers == 3)).any()


def test_the_mask_token_is_kept_out_of_its_proposals() -> None:
    logits = torch.tensor([0.0, 1.0, 5.0])
    model = constant_model(lambda input_ids: logits.expand(*input_ids.shape, 3), mask_token_id=2)
    output = generate(
        model, torch.zeros(1, 1, dtype=torch.long), scheduler=BlockRefinementScheduler(), max_new_tokens=4
    )
    assert output.sequences.tolist() == [[0, 1, 1, 1, 1]]
    assert logits.tolist() == [0.0, 1.0, 5.0]


def test_broken_logits_are_named_for_it_too() -> None:
    def broken(input_ids: Tensor) -> Tensor:
        logits = torch.zeros(*input_ids.shape, 6)
        logits[1, 2, 0] = torch.nan
        return logits

    with pytest.raises(ValueError, match="row 1 are not finite at position 2"):
        generate(
            constant_model(broken, mask_token_id=5),
            torch.zeros(2, 1, dtype=torch.long),
            scheduler=BlockRefinementScheduler(),
            max_new_tokens=3,
        )


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(ValueError, match="BlockRefinementScheduler draws from one generator for the batch"):
        generate(TOY, PROMPT, scheduler=BlockRefinementScheduler(), generator=[row_generator(0), row_generator(1)])
    with pytest.raises(ValueError, match=r"BlockRefinementScheduler .*discount"):
        generate(TOY, PROMPT, scheduler=BlockRefinementScheduler(), eos_handling="discount", eos_token_id=3)
