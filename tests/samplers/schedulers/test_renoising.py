"""DiffusionGemma's sampler on models of masks: all is decided anew at each step, and ends with the likeliest tokens."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from toy_denoiser import ToyDenoiser

from samplers import RenoisingScheduler, generate
from samplers.schedulers import Annealing

MASK = 47
PROMPT = torch.tensor([[5, 17, 30], [8, 2, 41]])


def sources(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def decode(rows: slice = slice(None), **options: Any) -> Any:
    settings = {"num_inference_steps": 6, "confidence_threshold": 2.0} | options
    return generate(
        ToyDenoiser(),
        PROMPT[rows],
        scheduler=RenoisingScheduler(**settings),
        max_new_tokens=10,
        block_length=5,
        generator=sources(1, 2)[rows],
        return_trajectory=True,
    )


def test_temperature_falls_evenly_from_the_first_step_to_the_last() -> None:
    annealing = Annealing(0.8, 0.4, 4)
    found = annealing.temperature(torch.arange(6))
    assert torch.allclose(found, torch.tensor([0.8, 0.7, 0.6, 0.5, 0.5, 0.5]))


def test_rows_of_a_batch_are_the_rows_alone() -> None:
    together = decode()
    for row in range(2):
        alone = decode(slice(row, row + 1))
        assert torch.equal(together.answers[row : row + 1], alone.answers)
        assert together.num_forward_passes[row] == alone.num_forward_passes[0]


def test_it_opens_again_what_it_is_no_more_sure_of_and_leaves_nothing_open() -> None:
    output = decode(confidence_threshold=None)
    assert output.num_forward_passes.tolist() == [12, 12]
    assert (output.answers != MASK).all()
    opened = [
        int(((before != MASK) & (after == MASK)).sum())
        for before, after in zip(output.trajectory, output.trajectory[1:], strict=False)
    ]
    assert sum(opened) > 0


def test_last_step_takes_the_likeliest_token_everywhere() -> None:
    scheduler = RenoisingScheduler(num_inference_steps=2, confidence_threshold=None)
    logits = torch.randn(1, 4, 9, generator=torch.Generator().manual_seed(0)) * 3
    first = scheduler.step(logits, 1, torch.full((1, 4), 9), mask_token_id=9, generator=sources(0)).prev_sample
    last = scheduler.step(logits, 0, first, mask_token_id=9, generator=sources(0))
    assert torch.equal(last.prev_sample, logits.argmax(dim=-1))
    assert not bool(last.unsettled)


def test_a_row_ends_once_it_is_stable_and_sure() -> None:
    logits = torch.zeros(2, 3, 9)
    logits[0, :, 4] = 50.0  # sure from the first step on
    scheduler = RenoisingScheduler(num_inference_steps=9, stability_threshold=1)
    sample = torch.full((2, 3), 9)
    looks = [0, 0]
    for _ in range(9):
        output = scheduler.step(logits, 0, sample, mask_token_id=9, generator=sources(0, 1))
        going = (sample == 9).any(dim=1) | (torch.tensor(looks) == 0)
        if looks[0] == 1:
            # Everything is kept after the first look, and looked at once more.
            assert sample[0].tolist() == [4, 4, 4]
        looks = [count + int(on) for count, on in zip(looks, going.tolist(), strict=True)]
        sample = output.prev_sample
        if not bool(output.unsettled[0]):
            break
    assert sample[0].tolist() == [4, 4, 4]
    assert (sample[1] == 9).any(), "the other row is not sure of anything"


def test_given_tokens_stay() -> None:
    prefill = torch.full((2, 10), MASK)
    prefill[:, 3] = 11
    output = generate(
        ToyDenoiser(),
        PROMPT,
        scheduler=RenoisingScheduler(num_inference_steps=4, entropy_bound=3.0),
        max_new_tokens=10,
        prefill=prefill,
        generator=sources(1, 2),
    )
    assert output.answers[:, 3].tolist() == [11, 11]


def test_a_copy_in_the_middle_goes_on_the_same_and_a_config_builds_the_same(tmp_path: Any) -> None:
    logits = torch.randn(2, 5, 9, generator=torch.Generator().manual_seed(3))
    scheduler = RenoisingScheduler(entropy_bound=1.0, num_inference_steps=5)
    sample: Tensor = torch.full((2, 5), 9)
    for _ in range(2):
        sample = scheduler.step(logits, 0, sample, mask_token_id=9, generator=sources(0, 1)).prev_sample
    twin = copy.deepcopy(scheduler)
    one, other = (
        made.step(logits, 0, sample, mask_token_id=9, generator=sources(4, 5)).prev_sample for made in (scheduler, twin)
    )
    assert torch.equal(one, other)
    scheduler.save_pretrained(tmp_path)
    again = RenoisingScheduler.from_pretrained(tmp_path)
    assert {key: value for key, value in again.config.items() if key[0] != "_"} == {
        key: value for key, value in scheduler.config.items() if key[0] != "_"
    }


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("entropy_bound", -1.0), ("t_max", 0.0), ("t_min", "low"), ("num_inference_steps", 0),
        ("stability_threshold", -1), ("confidence_threshold", 0.0),
    ],
)  # fmt: skip
def test_arguments_out_of_range_are_refused_by_name(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{argument}="):
        RenoisingScheduler(**{argument: value})
