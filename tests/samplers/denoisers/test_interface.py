"""Sessions as users write them: whole ones are taken as they are, small ones are adapted once."""

from typing import Any

import pytest
import torch
from torch import Tensor
from toy_denoiser import ToyDenoiser

from samplers import ConfidenceScheduler, DecodingSession, ModelView, SessionRequest, Wants, generate
from samplers.denoisers import open_session

MASK = 47
PROMPT = torch.tensor([[5, 17, 30], [8, 2, 41]])
REQUEST = SessionRequest(None, 3, 4, mask_token_id=MASK)


class Small:
    """A denoiser of the small interface: logits and two attributes."""

    mask_token_id, block_length = MASK, None

    def __init__(self) -> None:
        self.model, self.told = ToyDenoiser(), []

    def window_logits(self, input_ids: Tensor, attention_mask: Any, start: int, stop: int) -> Tensor:
        return self.model(input_ids).logits[:, start:stop]


class WithSession(Small):
    """One with a session that gives logits alone, and keeps something."""

    def session(self, request: SessionRequest) -> Any:
        owner = self

        class Session:
            def window_logits(self, sequences: Tensor, start: int, stop: int) -> Tensor:
                return owner.window_logits(sequences, None, start, stop)

            def forget(self) -> None:
                owner.told.append("forget")

        return Session()


@pytest.mark.parametrize("denoiser", [Small(), WithSession()])
def test_the_small_interface_decodes_as_the_model_does(denoiser: Small) -> None:
    options: dict[str, Any] = {"max_new_tokens": 8, "block_length": 4}
    expected = generate(ToyDenoiser(), PROMPT, scheduler=ConfidenceScheduler(k=2), **options)
    output = generate(denoiser, PROMPT, scheduler=ConfidenceScheduler(k=2), **options)
    assert torch.equal(output.sequences, expected.sequences)


@pytest.mark.parametrize("cfg_scale", [0.0, 1.0])
def test_a_callback_makes_it_forget(cfg_scale: float) -> None:
    denoiser = WithSession()
    generate(
        denoiser,
        PROMPT,
        scheduler=ConfidenceScheduler(k=2),
        max_new_tokens=4,
        cfg_scale=cfg_scale,
        callback_on_step_end=lambda step, timestep, values: values,
    )
    # With guidance there are two of them.
    assert denoiser.told == ["forget"] * (4 if cfg_scale else 2)


def test_a_whole_session_is_taken_as_it_is() -> None:
    class Session:
        def look(self, sequences: Tensor, start: int, stop: int) -> ModelView:
            raise NotImplementedError

        def end_block(self, sequences: Tensor, start: int, stop: int) -> None: ...

        def forget(self) -> None: ...

    class Denoiser(Small):
        def session(self, request: SessionRequest) -> Session:
            return session

    session = Session()
    assert isinstance(session, DecodingSession)
    assert open_session(Denoiser(), REQUEST) is session


@pytest.mark.parametrize(
    ("wants", "name"), [(Wants(shadow_logits=True), "shadow tokens"), (Wants(attentions=0.3), "attentions")]
)
@pytest.mark.parametrize("denoiser", [Small(), WithSession()])
def test_more_than_logits_is_refused_at_once(denoiser: Small, wants: Wants, name: str) -> None:
    with pytest.raises(ValueError, match=f"S[a-z]+ has no {name}, which this scheduler needs: it gives logits alone"):
        open_session(denoiser, SessionRequest(None, 3, 4, mask_token_id=MASK, wants=wants))
