"""Batches of the loop: padding, generators, shifted models, and what a model is called with."""

import types
from typing import Any

import pytest
import torch
from padded_denoiser import PaddedDenoiser
from scheduler_cases import FACTORIES, every_scheduler, row_generator
from support import slow_except
from torch import Tensor
from toy_denoiser import ToyDenoiser

from samplers import (
    ConfidenceScheduler,
    RandomScheduler,
    RCRScheduler,
    generate,
)
from samplers.schedulers.scheduling_utils import Step, UnmaskingScheduler

MASK = 47
TOY = ToyDenoiser()
PROMPT = torch.tensor([[5, 17, 30], [8, 2, 41]])


#: Two blocks of three, and one of one.
NEW = 7
PROMPTS = ([5, 17, 30, 8], [2], [41, 7, 7, 19, 33, 1], [12, 40], [3, 3, 9])


def decode_padded(name: str, rows: list[int], temperature: float, shift: bool) -> Any:
    """Decode some of `PROMPTS` as one left-padded batch, with a generator per row that depends on the prompt alone."""
    model = ShiftedDenoiser(sharpness=3.0) if shift else PaddedDenoiser(sharpness=3.0)
    longest = max(len(PROMPTS[row]) for row in rows)
    # What stands in the padding must not matter: the mask token is the worst that could.
    prompts = torch.full((len(rows), longest), MASK)
    attention_mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for place, row in enumerate(rows):
        prompts[place, longest - len(PROMPTS[row]) :] = torch.tensor(PROMPTS[row])
        attention_mask[place, longest - len(PROMPTS[row]) :] = 1
    return generate(
        model,
        prompts,
        scheduler=FACTORIES[name](temperature=temperature),
        max_new_tokens=NEW,
        block_length=3,
        attention_mask=attention_mask,
        generator=[row_generator(70 + row) for row in rows],
    )


class ShiftedDenoiser(PaddedDenoiser):
    """The padded denoiser with its logits one to the left, as Dream has them: row i is about token i + 1."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.config = types.SimpleNamespace(model_type="Dream")

    def forward(self, input_ids: Tensor, attention_mask: Any = None, position_ids: Any = None) -> Any:
        logits = super().forward(input_ids, attention_mask, position_ids).logits
        return types.SimpleNamespace(logits=torch.cat([logits[:, 1:], logits[:, :1]], dim=1))


@every_scheduler
@pytest.mark.parametrize(("temperature", "shift"), slow_except([(1.0, True)], [(0.0, False), (1.0, True)]))
def test_padded_batch_gives_the_tokens_its_rows_give_alone(name: str, temperature: float, shift: bool) -> None:
    alone = {row: decode_padded(name, [row], temperature, shift) for row in range(len(PROMPTS))}
    for rows in ([0, 1, 2, 3, 4], [3, 1]):
        output = decode_padded(name, rows, temperature, shift)
        for place, row in enumerate(rows):
            length = len(PROMPTS[row]) + NEW
            assert output.sequences[place, -length:].tolist() == alone[row].sequences[0].tolist()
            assert output.num_forward_passes[place] == alone[row].num_forward_passes[0]


@every_scheduler
def test_shifted_family_equals_the_aligned_model(name: str) -> None:
    prompt = torch.tensor([[5, 17, 30, 8]])
    outputs = [
        generate(
            model, prompt, scheduler=FACTORIES[name](), max_new_tokens=6, block_length=4, generator=row_generator(2)
        )
        for model in (PaddedDenoiser(), ShiftedDenoiser())
    ]
    assert torch.equal(outputs[0].sequences, outputs[1].sequences)


def test_same_seed_same_tokens_and_another_seed_others() -> None:
    model, scheduler = PaddedDenoiser(sharpness=2.0), RandomScheduler(temperature=1.0)
    first, second, other = (
        generate(model, PROMPT, scheduler=scheduler, max_new_tokens=12, generator=row_generator(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first.sequences, second.sequences)
    assert not torch.equal(first.sequences, other.sequences)


def test_attention_mask_without_padding_is_not_handed_on() -> None:
    model = PaddedDenoiser()
    generate(model, PROMPT, scheduler=ConfidenceScheduler(k=2), max_new_tokens=4, attention_mask=torch.ones(2, 3))
    assert [list(call) for call in model.calls] == [["logits_to_keep"]] * 2
    assert model.calls[0]["logits_to_keep"].tolist() == [3, 4, 5, 6]


def test_padded_batch_hands_on_mask_and_positions_for_the_whole_sequence() -> None:
    model = PaddedDenoiser()
    attention_mask = torch.tensor([[0, 0, 1], [1, 1, 1]])
    generate(model, PROMPT, scheduler=ConfidenceScheduler(k=2), max_new_tokens=2, attention_mask=attention_mask)
    assert model.calls[-1]["attention_mask"].tolist() == [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]
    assert model.calls[-1]["position_ids"].tolist() == [[0, 0, 0, 1, 2], [0, 1, 2, 3, 4]]


def test_sequence_scope_sees_all_that_was_generated() -> None:
    model = PaddedDenoiser()
    generate(model, PROMPT, scheduler=RCRScheduler(k=2, scope="sequence"), max_new_tokens=4, block_length=2)
    assert [call["logits_to_keep"].tolist() for call in model.calls] == [[3, 4], [3, 4, 5, 6]]


class CountedGenerators(UnmaskingScheduler):
    """Commits the whole window of rows 1 and above and one token of row 0; notes which rows may draw noise."""

    def __init__(self) -> None:
        super().__init__()
        self.may_draw: list[list[bool]] = []

    def select(self, step: Step, scores: Tensor) -> Tensor:
        self.may_draw.append([source is not None for source in step.generator])
        leftmost = step.masked & (step.masked.cumsum(dim=1) == 1)
        return torch.cat([leftmost[:1], step.masked[1:]])


def test_finished_row_gets_no_generator_until_the_next_block() -> None:
    scheduler = CountedGenerators()
    generators = [row_generator(0), row_generator(1)]
    generate(TOY, PROMPT, scheduler=scheduler, max_new_tokens=4, block_length=2, generator=generators)
    assert scheduler.may_draw == [[True, True], [True, False], [True, True], [True, False]]


def test_row_whose_next_block_a_callback_has_filled_draws_nothing_there() -> None:
    def fill_last_block_of_row_1(step: int, timestep: Any, values: dict[str, Tensor]) -> dict[str, Tensor]:
        sample = values["sample"]
        sample[1, 2:] = 3
        return {"sample": sample}

    scheduler = CountedGenerators()
    output = generate(
        TOY,
        PROMPT,
        scheduler=scheduler,
        max_new_tokens=4,
        block_length=2,
        generator=[row_generator(0), row_generator(1)],
        callback_on_step_end=fill_last_block_of_row_1,
    )
    assert scheduler.may_draw == [[True, True], [True, False], [True, False], [True, False]]
    assert output.num_forward_passes.tolist() == [4, 1]
    assert output.sequences[1, 5:].tolist() == [3, 3]
