"""Recorded proposals: many settings decode from the passes that one of them has made, and decode the same."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from scheduler_cases import FACTORIES, row_generator
from torch import Tensor
from toy_denoiser import ToyDenoiser

from samplers import ConfidenceScheduler, ModelView, RecordedProposal, SessionRequest, generate
from samplers.schedulers.proposals import propose

MASK = 47
PROMPT = torch.tensor([[5, 17, 30], [8, 2, 41]])
GREEDY = [name for name, factory in FACTORIES.items() if not factory().wants.logits]


class RecordingDenoiser:
    """Keeps what greedy methods read of every state, row by row, and asks the model for new states alone."""

    mask_token_id, block_length = MASK, None

    def __init__(self) -> None:
        self.model, self.passes = ToyDenoiser(sharpness=3.0), 0
        self.memory: dict[tuple[int, ...], RecordedProposal] = {}

    def session(self, request: SessionRequest) -> "RecordingDenoiser":
        assert not request.wants.logits
        return self

    def look(self, sequences: Tensor, start: int, stop: int) -> ModelView:
        records = [self.of_state(row, start, stop) for row in sequences]
        fields = ("tokens", "confidence", "margin", "negative_entropy", "logit_gap")
        return ModelView(
            None,
            proposal=RecordedProposal(
                **{name: torch.cat([getattr(record, name) for record in records]) for name in fields},
                vocab_size=records[0].vocab_size,
            ),
        )

    def of_state(self, row: Tensor, start: int, stop: int) -> RecordedProposal:
        key = (*row.tolist(), start, stop)
        if key not in self.memory:
            self.passes += 1
            record = propose(self.model(row[None]).logits[:, start:stop], mask_token_id=MASK).record()
            # Of what is not masked nothing is promised.
            masked = row[None, start:stop] == MASK
            self.memory[key] = replace(
                record, tokens=record.tokens * masked, confidence=record.confidence.masked_fill(~masked, 0.5)
            )
        return self.memory[key]

    def end_block(self, sequences: Tensor, start: int, stop: int) -> None:
        """Nothing to do."""

    def forget(self) -> None:
        """What is remembered belongs to states, and stays true."""


@pytest.mark.parametrize("arguments", [{}, {"eos_handling": "discount", "eos_token_id": 3}])
@pytest.mark.parametrize("name", GREEDY)
def test_recorded_proposals_decode_what_logits_decode(name: str, arguments: dict[str, Any]) -> None:
    options: dict[str, Any] = {"max_new_tokens": 9, "block_length": 5, "return_trajectory": True, **arguments}
    plain, recorded = (
        generate(model, PROMPT, scheduler=FACTORIES[name](), generator=[row_generator(1), row_generator(2)], **options)
        for model in (ToyDenoiser(sharpness=3.0), RecordingDenoiser())
    )
    assert torch.equal(plain.num_forward_passes, recorded.num_forward_passes)
    assert all(torch.equal(a, b) for a, b in zip(plain.trajectory, recorded.trajectory, strict=True))


def test_settings_share_passes() -> None:
    model, counted = RecordingDenoiser(), 0
    for k in (1, 2, 4, 8):
        counted += int(
            generate(model, PROMPT, scheduler=ConfidenceScheduler(k=k), max_new_tokens=8).num_forward_passes.sum()
        )
    assert counted == 2 * (8 + 4 + 2 + 1)
    # All begin at the same state; the rest depends on the toy.
    assert model.passes <= counted - 2 * 3


@pytest.mark.parametrize(
    "arguments", [{"temperature": 1.0}, {"eos_handling": "ban", "eos_token_id": 3}, {"cfg_scale": 1.0}]
)
def test_what_takes_logits_asks_for_them(arguments: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        generate(RecordingDenoiser(), PROMPT, scheduler=ConfidenceScheduler(), max_new_tokens=4, **arguments)


def test_a_broken_record_is_named() -> None:
    class Broken(RecordingDenoiser):
        def of_state(self, row: Tensor, start: int, stop: int) -> RecordedProposal:
            record = super().of_state(row, start, stop)
            return replace(record, confidence=record.confidence.index_fill(1, torch.tensor(2), torch.nan))

    with pytest.raises(ValueError, match="row 0 are not finite at position 5"):
        generate(Broken(), PROMPT, scheduler=ConfidenceScheduler(), max_new_tokens=4)
