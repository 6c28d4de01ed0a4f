"""What padding does to a row is asked of the model, once, on short rows, and without leaving a trace."""

import gc
import types
import weakref
from typing import Any

import pytest
import torch
from padded_denoiser import PaddedDenoiser
from torch import Tensor, nn
from toy_denoiser import ToyDenoiser

from samplers import ConfidenceScheduler, denoiser_for, generate
from samplers.models import calling

IDS = torch.tensor([[3, 1, 4, 1, 5, 9], [2, 6, 5, 3, 5, 8]])
PADDED = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]])


class Ignoring(ToyDenoiser):
    """Names the mask and does not look at it, as LLaDA's first code did."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Any:
        return super().forward(input_ids)


class Noisy(PaddedDenoiser):
    """Logits in bfloat16 that hide padding, with dropout behind them, and noise of a given size."""

    def __init__(self, noise: float = 0.0, dtype: torch.dtype = torch.bfloat16) -> None:
        super().__init__()
        self.dropout, self.noise, self.dtype = nn.Dropout(0.5), noise, dtype

    def forward(self, input_ids: Tensor, attention_mask: Any = None, position_ids: Any = None) -> Any:
        logits = super().forward(input_ids, attention_mask, position_ids).logits
        logits = self.dropout(logits) + self.noise * torch.randn_like(logits)
        return types.SimpleNamespace(logits=logits.to(self.dtype))


@pytest.mark.parametrize("model", [ToyDenoiser(), Ignoring(), Ignoring().double()])
def test_mask_that_is_swallowed_is_found_out(model: Any) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match=r"padding changes the logits") as error:
            generate(model, IDS, scheduler=ConfidenceScheduler(), attention_mask=PADDED, max_new_tokens=2)
        assert "\n" not in str(error.value)
    generate(model, IDS, scheduler=ConfidenceScheduler(), max_new_tokens=2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_rounding_and_dropout_are_no_padding(dtype: torch.dtype) -> None:
    model = Noisy(dtype=dtype).train()
    state = torch.get_rng_state()
    denoiser = denoiser_for(model)
    denoiser._calling.arguments(IDS, PADDED)  # type: ignore[attr-defined]
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert model.dropout.training


def test_a_model_that_never_says_the_same_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="differ from call to call"):
        denoiser_for(Noisy(noise=3.0)).window_logits(IDS, PADDED, 4, 6)


def test_each_model_is_asked_once_and_only_where_something_is_padded() -> None:
    model = PaddedDenoiser()
    denoiser_for(model).window_logits(IDS, None, 4, 6)
    assert len(model.calls) == 1
    denoiser_for(model).window_logits(IDS, PADDED, 4, 6)
    asked = len(model.calls) - 2
    assert 3 <= asked <= 4
    denoiser_for(model).window_logits(IDS, PADDED, 4, 6)
    assert len(model.calls) == asked + 3


def test_nothing_keeps_a_model_alive() -> None:
    model = PaddedDenoiser()
    denoiser_for(model).window_logits(IDS, PADDED, 4, 6)
    assert model in calling._ERRORS
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
