"""Classifier-free guidance: what the second pass sees, how the two are combined, and what it costs."""

from typing import Any

import pytest
import torch
from padded_denoiser import PaddedDenoiser
from scheduler_cases import FACTORIES, every_scheduler, row_generator
from shadow_denoiser import ShadowDenoiser
from torch import Tensor
from toy_denoiser import ToyDenoiser

from samplers import (
    ConfidenceScheduler,
    LeftToRightScheduler,
    ModelView,
    ThresholdScheduler,
    Wants,
    WINOScheduler,
    denoiser_for,
    generate,
)
from samplers.denoisers import ModelDenoiser, SessionRequest, open_session
from samplers.denoisers.guidance import GuidedSession, guide

MASK = 47
TOY = ToyDenoiser(sharpness=3.0)
PROMPT = torch.tensor([[5, 17, 30], [8, 2, 41]])


def test_guided_logits_are_the_formula() -> None:
    conditional, unconditional = torch.randn(2, 3, 4, 5, generator=row_generator(0))
    for scale in (0.0, 0.5, 2.0):
        expected = conditional.log_softmax(-1) * (1 + scale) - unconditional.log_softmax(-1) * scale
        guided = guide(conditional, unconditional, scale)
        torch.testing.assert_close(guided.softmax(-1), expected.softmax(-1))
    assert guide(conditional.bfloat16(), unconditional.bfloat16(), 1.0).dtype == torch.float32
    assert guide(conditional.double(), unconditional.double(), 1.0).dtype == torch.float64


def test_what_is_impossible_with_the_prompt_stays_impossible() -> None:
    conditional = torch.tensor([[[0.0, -torch.inf, -torch.inf]]])
    unconditional = torch.tensor([[[1.0, 1.0, -torch.inf]]])
    assert guide(conditional, unconditional, 1.5).tolist() == [[[-1.5, -torch.inf, -torch.inf]]]


def decode_by_hand(scale: float, length: int, block_length: int) -> tuple[Tensor, int]:
    """The sampler of LLaDA, one token at a time from the left: a batch of twice the size, the prompt masked in half."""
    sequences = torch.cat([PROMPT, torch.full((2, length), MASK)], dim=1)
    passes = 0
    for position in range(3, 3 + length):
        hidden = sequences.clone()
        hidden[:, :3] = MASK
        with_prompt, without = TOY(torch.cat([sequences, hidden])).logits[:, position].chunk(2)
        passes += 2
        logits = without + (scale + 1) * (with_prompt - without)
        logits[:, MASK] = -torch.inf
        sequences[:, position] = logits.argmax(dim=1)
    return sequences, passes


def test_guidance_decodes_what_lladas_sampler_decodes() -> None:
    outputs = []
    for scale in (0.5, 3.0):
        expected, passes = decode_by_hand(scale, length=8, block_length=4)
        output = generate(
            TOY, PROMPT, scheduler=LeftToRightScheduler(), max_new_tokens=8, block_length=4, cfg_scale=scale
        )
        assert torch.equal(output.sequences, expected)
        assert output.num_forward_passes.tolist() == [passes, passes]
        outputs.append(output.sequences)
    plain = generate(TOY, PROMPT, scheduler=LeftToRightScheduler(), max_new_tokens=8).sequences
    assert not torch.equal(outputs[0], plain)
    assert not torch.equal(outputs[0], outputs[1])


def test_scale_zero_is_no_guidance_and_one_pass_a_step() -> None:
    model = PaddedDenoiser()
    plain = generate(model, PROMPT, scheduler=ConfidenceScheduler(), max_new_tokens=4, cfg_scale=0.0)
    assert len(model.calls) == 4
    assert plain.num_forward_passes.tolist() == [4, 4]


@every_scheduler
def test_guided_and_padded_batch_gives_the_tokens_its_rows_give_alone(name: str) -> None:
    prompts = [[5, 17, 30, 8], [2], [41, 7]]

    def decode(rows: list[int]) -> Any:
        longest = max(len(prompts[row]) for row in rows)
        batch = torch.tensor([[0] * (longest - len(prompts[row])) + prompts[row] for row in rows])
        mask = torch.tensor([[0] * (longest - len(prompts[row])) + [1] * len(prompts[row]) for row in rows])
        return generate(
            PaddedDenoiser(sharpness=3.0),
            batch,
            attention_mask=mask,
            scheduler=FACTORIES[name](temperature=1.0),
            max_new_tokens=6,
            block_length=4,
            cfg_scale=1.0,
            generator=[row_generator(row) for row in rows],
        )

    together = decode([0, 1, 2])
    for row in range(3):
        alone = decode([row])
        assert torch.equal(together.sequences[row, -6:], alone.sequences[0, -6:])
        assert together.num_forward_passes[row] == alone.num_forward_passes[0]


def test_finished_rows_count_no_more_passes() -> None:
    prefill = torch.tensor([[1, 2, 3, MASK], [MASK] * 4])
    output = generate(TOY, PROMPT, scheduler=ConfidenceScheduler(), max_new_tokens=4, cfg_scale=1.0, prefill=prefill)
    assert output.num_forward_passes.tolist() == [2, 8]


def test_both_passes_go_through_sessions_of_their_own() -> None:
    told: list[tuple[int, str, list[int]]] = []

    class Session:
        def __init__(self, denoiser: Any, number: int) -> None:
            self.denoiser, self.number = denoiser, number

        def window_logits(self, sequences: Tensor, start: int, stop: int) -> Tensor:
            told.append((self.number, "window", sequences[0, :3].tolist()))
            return self.denoiser.window_logits(sequences, None, start, stop)

        def end_block(self, sequences: Tensor, start: int, stop: int) -> None:
            told.append((self.number, "end", sequences[0, :3].tolist()))
            assert not (sequences[:, start:stop] == MASK).any()

    class WithSessions(ModelDenoiser):
        opened = 0

        def session(self, request: SessionRequest) -> Session:
            WithSessions.opened += 1
            return Session(self, WithSessions.opened)

    output = generate(
        WithSessions(TOY), PROMPT, scheduler=ConfidenceScheduler(k=4), max_new_tokens=8, block_length=4, cfg_scale=1.0
    )
    step = [(1, "window", [5, 17, 30]), (2, "window", [MASK] * 3), (1, "end", [5, 17, 30]), (2, "end", [MASK] * 3)]
    assert told == step * 2
    assert output.num_forward_passes.tolist() == [4, 4]


def test_shadow_tokens_are_guided_too() -> None:
    model = ShadowDenoiser(sharpness=2.0)
    output = generate(model, PROMPT, scheduler=WINOScheduler(threshold=0.3), max_new_tokens=8, cfg_scale=1.0)
    assert output.num_forward_passes.max() == len(model.calls)
    request = SessionRequest(None, 3, 8, mask_token_id=MASK, wants=Wants(shadow_logits=True))
    session = GuidedSession(denoiser_for(model), request, 1.0)
    hidden = torch.cat([torch.full((2, 3), MASK), output.sequences[:, 3:]], dim=1)
    with_prompt, without = (
        open_session(denoiser_for(model), request).look(ids, 3, 11) for ids in (output.sequences, hidden)
    )
    found = session.look(output.sequences, 3, 11)
    for name in ("logits", "shadow_logits"):
        expected = guide(getattr(with_prompt, name), getattr(without, name), 1.0)
        torch.testing.assert_close(getattr(found, name), expected)
    assert not torch.equal(with_prompt.shadow_logits, without.shadow_logits)


def test_the_rest_of_a_view_is_that_with_the_prompt_and_both_sessions_forget() -> None:
    told: list[tuple[int, str]] = []

    class Session:
        def __init__(self, number: int) -> None:
            self.number = number

        def look(self, sequences: Tensor, start: int, stop: int) -> ModelView:
            logits = torch.zeros(len(sequences), stop - start, 5)
            return ModelView(logits, attentions=torch.full((1, 1, stop - start, stop - start), float(self.number)))

        def end_block(self, sequences: Tensor, start: int, stop: int) -> None:
            told.append((self.number, "end"))

        def forget(self) -> None:
            told.append((self.number, "forget"))

    class TwoSessions:
        opened = 0

        def session(self, request: SessionRequest) -> Session:
            assert request.wants == Wants(attentions=(0,)), "a recorded proposal cannot be guided"
            TwoSessions.opened += 1
            return Session(TwoSessions.opened)

    wants = Wants(logits=False, attentions=(0,))
    session = GuidedSession(TwoSessions(), SessionRequest(None, 3, 8, mask_token_id=MASK, wants=wants), 1.0)
    view = session.look(torch.zeros(1, 11, dtype=torch.long), 3, 11)
    assert view.attentions is not None
    assert view.attentions.unique().tolist() == [1.0]
    session.forget()
    session.end_block(torch.zeros(1, 11, dtype=torch.long), 3, 11)
    assert told == [(1, "forget"), (2, "forget"), (1, "end"), (2, "end")]


@pytest.mark.parametrize("scale", [-0.5, float("nan"), float("inf")])
def test_scale_out_of_range_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match=r"cfg_scale=.* should be a finite number of at least 0"):
        generate(TOY, PROMPT, scheduler=ThresholdScheduler(), cfg_scale=scale)
