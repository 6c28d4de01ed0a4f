"""What a step of the loop costs besides the forward pass: one look at the device, whatever is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from scheduler_cases import FACTORIES, every_scheduler, row_generator
from toy_denoiser import ToyDenoiser

from samplers import ConfidenceScheduler, generate

MASK = 47
TOY = ToyDenoiser()
PROMPT = torch.tensor([[5, 17, 30], [8, 2, 41]])
READS = ("tolist", "item", "__bool__", "__int__", "__float__", "__index__", "cpu", "numpy", "nonzero")


@contextmanager
def counted_reads() -> Iterator[list[str]]:
    """Names of the calls that bring a tensor's values to the host, in their order."""
    seen: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in READS:
            method = getattr(torch.Tensor, name)

            def read(self: Any, *arguments: Any, _name: str = name, _method: Any = method, **named: Any) -> Any:
                seen.append(_name)
                return _method(self, *arguments, **named)

            patch.setattr(torch.Tensor, name, read)
        yield seen


def test_reads_are_seen() -> None:
    with counted_reads() as seen:
        torch.ones(2).tolist()
        bool(torch.ones(1))
        torch.ones(1).item()
        torch.ones(1).nonzero()
    assert seen == ["tolist", "__bool__", "item", "nonzero"]


@every_scheduler
def test_one_read_per_step(name: str) -> None:
    scheduler = FACTORIES[name](temperature=1.0)
    with counted_reads() as seen:
        output = generate(
            TOY,
            PROMPT,
            scheduler=scheduler,
            max_new_tokens=8,
            block_length=4,
            generator=[row_generator(0), row_generator(1)],
            return_trajectory=True,
        )
    assert seen == ["tolist"] * len(output.trajectory)


@pytest.mark.parametrize(
    "arguments",
    [
        {"prefill": torch.tensor([[1, MASK], [MASK, 2]])},
        {"stop_at_eos": True},
        {"eos_handling": "fill"},
        {"callback_on_step_end": lambda step, timestep, values: values},
    ],
)
def test_one_more_per_block_where_a_block_may_be_filled_before_its_turn(arguments: dict[str, Any]) -> None:
    with counted_reads() as seen:
        output = generate(
            TOY,
            PROMPT,
            scheduler=ConfidenceScheduler(),
            max_new_tokens=8,
            block_length=4,
            eos_token_id=99,
            return_trajectory=True,
            **arguments,
        )
    assert seen == ["tolist"] * (len(output.trajectory) + 2)


@pytest.mark.parametrize("arguments", [{"cfg_scale": 1.0}, {"eos_handling": "ban"}, {"eos_handling": "discount"}])
def test_guidance_and_the_other_options_read_nothing(arguments: dict[str, Any]) -> None:
    with counted_reads() as seen:
        output = generate(
            TOY,
            PROMPT,
            scheduler=ConfidenceScheduler(),
            max_new_tokens=8,
            eos_token_id=3,
            return_trajectory=True,
            **arguments,
        )
    assert seen == ["tolist"] * len(output.trajectory)
