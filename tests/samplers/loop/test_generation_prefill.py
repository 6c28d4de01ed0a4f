"""Infilling: what a prefill gives stays, whatever the scheduler does, and only the rest is decoded."""

from typing import Any

import pytest
import torch
from scheduler_cases import FACTORIES, every_scheduler, row_generator
from torch import Tensor
from toy_denoiser import ToyDenoiser

from samplers import ConfidenceScheduler, LeftToRightScheduler, generate
from samplers.schedulers.scheduling_utils import Step, UnmaskingScheduler

MASK = 47
TOY = ToyDenoiser()
PROMPT = torch.tensor([[5, 17, 30], [8, 2, 41], [9, 9, 9]])
PREFILL = torch.tensor(
    [[MASK, 7, MASK, MASK, 7, 3, MASK, MASK], [1, 2, 3, 4, 5, 6, MASK, MASK], [MASK, MASK, MASK, MASK, 0, 0, 0, 0]]
)


@every_scheduler
@pytest.mark.parametrize("block_length", [None, 4, 3])
def test_given_tokens_stay_and_the_rest_is_decoded(name: str, block_length: int | None) -> None:
    output = generate(
        TOY,
        PROMPT,
        scheduler=FACTORIES[name](),
        max_new_tokens=8,
        block_length=block_length,
        prefill=PREFILL,
        generator=[row_generator(seed) for seed in range(3)],
        return_trajectory=True,
    )
    given = PREFILL != MASK
    for state in output.trajectory:
        assert torch.equal(state[given], PREFILL[given])
    answers = output.sequences[:, 3:]
    assert not (answers == MASK).any()
    assert (output.num_skipped_tokens == 0).all()


@every_scheduler
def test_prefilled_batch_gives_what_its_rows_give_alone(name: str) -> None:
    def decode(rows: list[int]) -> Any:
        return generate(
            TOY,
            PROMPT[rows],
            scheduler=FACTORIES[name](temperature=1.0),
            max_new_tokens=8,
            block_length=4,
            prefill=PREFILL[rows],
            generator=[row_generator(seed) for seed in rows],
        )

    together = decode([0, 1, 2])
    for row in range(3):
        alone = decode([row])
        assert torch.equal(together.sequences[row], alone.sequences[0])
        assert together.num_forward_passes[row] == alone.num_forward_passes[0]


def test_only_open_positions_cost_passes() -> None:
    output = generate(
        TOY, PROMPT, scheduler=LeftToRightScheduler(k=1), max_new_tokens=8, block_length=4, prefill=PREFILL
    )
    assert output.num_forward_passes.tolist() == [5, 2, 4]


def test_blocks_that_are_given_whole_are_not_looked_at() -> None:
    seen: list[list[int]] = []

    class Watched(ToyDenoiser):
        def forward(self, input_ids: Tensor, *unused: Any, **unused_too: Any) -> Any:
            seen.append(input_ids[0].tolist())
            return super().forward(input_ids)

    full = torch.tensor([[1, 2, 3, 4, MASK, MASK, 5, 6]])
    output = generate(
        Watched(), PROMPT[:1], scheduler=ConfidenceScheduler(k=2), max_new_tokens=8, block_length=2, prefill=full
    )
    assert len(seen) == 1
    assert seen[0][3:] == full[0].tolist()
    assert output.num_forward_passes.tolist() == [1]
    nothing = generate(TOY, PROMPT, scheduler=ConfidenceScheduler(), max_new_tokens=2, prefill=PROMPT[:, :2])
    assert nothing.num_forward_passes.tolist() == [0, 0, 0]
    assert torch.equal(nothing.sequences[:, 3:], PROMPT[:, :2])


def test_shorter_prefill_is_a_beginning() -> None:
    beginning = torch.tensor([[4, MASK, 6], [1, 2, 3], [MASK, MASK, MASK]])
    padded = torch.nn.functional.pad(beginning, (0, 5), value=MASK)
    short, long = (
        generate(TOY, PROMPT, scheduler=ConfidenceScheduler(k=2), max_new_tokens=8, prefill=prefill)
        for prefill in (beginning, padded)
    )
    assert torch.equal(short.sequences, long.sequences)
    assert short.sequences[:, 3:6][beginning != MASK].tolist() == [4, 6, 1, 2, 3]
    empty = generate(TOY, PROMPT, scheduler=ConfidenceScheduler(), max_new_tokens=4, prefill=PROMPT[:, :0])
    plain = generate(TOY, PROMPT, scheduler=ConfidenceScheduler(), max_new_tokens=4)
    assert torch.equal(empty.sequences, plain.sequences)


class MasksEverythingAgain(UnmaskingScheduler):
    """Masks every token again that it did not commit just now, given ones too, as long as it may."""

    def __init__(self) -> None:
        super().__init__()
        self.tries = 0

    def select(self, step: Step, scores: Tensor) -> Tensor:
        return step.masked

    def revise(self, step: Step, proposal: Any, committed: Tensor, transfer_index: Tensor) -> Tensor:
        self.tries += 1
        return ~transfer_index if self.tries < 3 else torch.zeros_like(transfer_index)


@pytest.mark.parametrize("held_by", ["the scheduler", "the loop"])
def test_scheduler_that_masks_given_tokens_again_is_overruled(held_by: str, monkeypatch: Any) -> None:
    scheduler = MasksEverythingAgain()
    if held_by == "the loop":
        step = UnmaskingScheduler.step
        monkeypatch.setattr(
            MasksEverythingAgain,
            "step",
            lambda self, *positional, prompt_mask, **named: step(self, *positional, **named),
            raising=False,
        )
    output = generate(
        TOY, PROMPT[:1], scheduler=scheduler, max_new_tokens=8, prefill=PREFILL[:1], return_trajectory=True
    )
    given = PREFILL[:1] != MASK
    assert all(torch.equal(state[given], PREFILL[:1][given]) for state in output.trajectory)


def test_callback_may_mask_a_given_token_again() -> None:
    def open_position_1(step: int, timestep: Any, values: dict[str, Tensor]) -> dict[str, Tensor] | None:
        if step:
            return None
        values["sample"][0, 1] = MASK
        return values

    output = generate(
        TOY,
        PROMPT[:1],
        scheduler=ConfidenceScheduler(),
        max_new_tokens=8,
        prefill=PREFILL[:1],
        callback_on_step_end=open_position_1,
    )
    assert output.num_forward_passes.tolist() == [6]
    assert not (output.sequences == MASK).any()


@pytest.mark.parametrize(
    ("prefill", "message"),
    [
        (torch.zeros(3, 9, dtype=torch.long), r"prefill has shape \(3, 9\) .* should be \(3, at most 8\), long"),
        (torch.zeros(2, 8, dtype=torch.long), r"prefill has shape \(2, 8\)"),
        (torch.zeros(8, dtype=torch.long), r"prefill has shape \(8,\)"),
        (torch.zeros(3, 8), r"dtype torch.float32; it should be"),
    ],
)
def test_prefill_that_does_not_fit_is_refused(prefill: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate(TOY, PROMPT, scheduler=ConfidenceScheduler(), max_new_tokens=8, prefill=prefill)


def test_prefill_that_is_no_tensor_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="prefill is a list"):
        generate(TOY, PROMPT, scheduler=ConfidenceScheduler(), prefill=[[1, 2]])
