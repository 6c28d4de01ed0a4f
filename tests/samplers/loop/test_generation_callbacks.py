"""Callbacks of the loop: what they see and what they may change."""

from typing import Any

import pytest
import torch
from scheduler_cases import FACTORIES, every_scheduler, row_generator
from torch import Tensor
from toy_denoiser import ToyDenoiser

from samplers import (
    ConfidenceScheduler,
    LeftToRightScheduler,
    generate,
)

MASK = 47
TOY = ToyDenoiser()
PROMPT = torch.tensor([[5, 17, 30], [8, 2, 41]])


def test_callback_sees_every_step() -> None:
    seen: list[Any] = []

    def note(step: int, timestep: Any, values: dict[str, Tensor]) -> None:
        seen.append((step, int(timestep), list(values), (values["sample"] == MASK).sum().item()))
        values["sample"].fill_(0)  # a copy: nothing happens to the generation

    output = generate(
        TOY, PROMPT, scheduler=ConfidenceScheduler(k=2), max_new_tokens=6, block_length=4, callback_on_step_end=note
    )
    plain = generate(TOY, PROMPT, scheduler=ConfidenceScheduler(k=2), max_new_tokens=6, block_length=4)
    assert seen == [(0, 1, ["sample"], 8), (1, 0, ["sample"], 4), (2, 1, ["sample"], 0)]
    assert torch.equal(output.sequences, plain.sequences)


def test_callback_may_go_on_with_another_sample() -> None:
    def put_token_9_last(step: int, timestep: Any, values: dict[str, Tensor]) -> dict[str, Tensor] | None:
        if step:
            return None
        sample = values["sample"].clone()
        sample[:, -1] = 9
        return {"sample": sample}

    output = generate(
        TOY,
        PROMPT,
        scheduler=LeftToRightScheduler(),
        max_new_tokens=4,
        callback_on_step_end=put_token_9_last,
        return_trajectory=True,
    )
    assert output.sequences[:, -1].tolist() == [9, 9]
    assert output.num_forward_passes.tolist() == [3, 3]
    assert output.trajectory[0][:, -1].tolist() == [9, 9]
    assert torch.equal(output.sequences[:, :3], PROMPT)


@pytest.mark.parametrize("returned", [None, {}, {"logits": torch.zeros(1)}])
def test_callback_that_returns_no_sample_changes_nothing(returned: Any) -> None:
    plain = generate(TOY, PROMPT, scheduler=ConfidenceScheduler(), max_new_tokens=3)
    output = generate(
        TOY, PROMPT, scheduler=ConfidenceScheduler(), max_new_tokens=3, callback_on_step_end=lambda *_: returned
    )
    assert torch.equal(output.sequences, plain.sequences)


@pytest.mark.parametrize("shape", [(2, 7), (1, 4), (4,)])
def test_callback_with_a_sample_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    def wrong(step: int, timestep: Any, values: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"sample": torch.zeros(shape, dtype=torch.long)}

    with pytest.raises(ValueError, match=r"callback returned a sample of shape .*; it should be .* \(2, 4\)"):
        generate(TOY, PROMPT, scheduler=ConfidenceScheduler(), max_new_tokens=4, callback_on_step_end=wrong)


@pytest.mark.parametrize("sample", [[[1, 2, 3, 4]] * 2, torch.zeros(2, 4)])
def test_callback_with_a_sample_that_holds_no_ids_is_refused(sample: Any) -> None:
    with pytest.raises(TypeError, match="callback returned a sample that is"):
        generate(
            TOY,
            PROMPT,
            scheduler=ConfidenceScheduler(),
            max_new_tokens=4,
            callback_on_step_end=lambda *_: {"sample": sample},
        )


@every_scheduler
def test_row_that_a_callback_changes_leaves_the_others_alone(name: str) -> None:
    def decode(callback: Any) -> Any:
        return generate(
            TOY,
            torch.cat([PROMPT, PROMPT]),
            scheduler=FACTORIES[name](),
            max_new_tokens=8,
            generator=[row_generator(seed) for seed in range(4)],
            callback_on_step_end=callback,
        )

    def mask_row_2_again(step: int, timestep: Any, values: dict[str, Tensor]) -> dict[str, Tensor]:
        if step == 1:
            values["sample"][2] = MASK
        return values

    plain, disturbed = decode(None), decode(mask_row_2_again)
    for row in (0, 1, 3):
        assert torch.equal(plain.sequences[row], disturbed.sequences[row])
        assert plain.num_forward_passes[row] == disturbed.num_forward_passes[row]
    assert not (disturbed.sequences[2] == MASK).any()
