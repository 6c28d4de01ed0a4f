"""Wrappers hide a model's config and family; what is called is still the wrapper."""

import types
from pathlib import Path
from typing import Any

import pytest
import torch
from padded_denoiser import PaddedDenoiser
from random_checkpoint import IDS, written
from torch import nn

from samplers import ConfidenceScheduler, denoiser_for, generate, models
from samplers.denoisers import ModelDenoiser
from samplers.models.unwrapping import splits_batches, unwrapped


class Dream(PaddedDenoiser):
    """A model of transformers' kind, whose config alone says what it is."""

    def __init__(self) -> None:
        super().__init__()
        self.config = types.SimpleNamespace(model_type="Dream", mask_token_id=self.mask_token_id, eos_token_id=46)
        self.outer_calls = 0


def counted(wrapper: nn.Module, model: nn.Module) -> nn.Module:
    def forward(*arguments: Any, **named: Any) -> Any:
        model.outer_calls += 1  # type: ignore[operator,assignment]
        return model(*arguments, **named)

    wrapper.forward = forward  # type: ignore[method-assign]
    return wrapper


def data_parallel(model: nn.Module) -> nn.Module:
    return nn.DataParallel(model)


def distributed(model: nn.Module) -> nn.Module:
    """DDP as it looks from outside, without a group of processes."""
    wrapper = nn.parallel.DistributedDataParallel.__new__(nn.parallel.DistributedDataParallel)
    nn.Module.__init__(wrapper)
    wrapper.module = model
    return counted(wrapper, model)


def compiled(model: nn.Module) -> Any:
    return torch.compile(model, backend="eager")


def adapted(model: nn.Module) -> Any:
    peft = pytest.importorskip("peft")
    return peft.get_peft_model(model, peft.LoraConfig(target_modules=["q_proj"], init_lora_weights=False))


WRAPPERS = {
    "data parallel": data_parallel,
    "distributed": distributed,
    "compiled": compiled,
    "compiled, distributed": lambda model: distributed(compiled(model)),
    "data parallel, compiled": lambda model: compiled(data_parallel(model)),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_shift_and_special_tokens_are_those_of_the_model_inside(wrap: Any) -> None:
    model = Dream()
    wrapped = wrap(model)
    assert unwrapped(wrapped) is model
    denoiser = denoiser_for(wrapped)
    assert isinstance(denoiser, ModelDenoiser)
    assert (denoiser.shift, denoiser.mask_token_id, denoiser.model) == (1, 47, wrapped)
    prompt, mask = torch.tensor([[5, 6, 7], [0, 9, 8]]), torch.tensor([[1, 1, 1], [0, 1, 1]])
    options: dict[str, Any] = {"max_new_tokens": 4, "attention_mask": mask, "stop_at_eos": True}
    bare = generate(Dream(), prompt, scheduler=ConfidenceScheduler(k=1), **options)
    assert torch.equal(
        generate(wrapped, prompt, scheduler=ConfidenceScheduler(k=1), **options).sequences, bare.sequences
    )


def test_the_wrapper_is_what_is_called() -> None:
    model = Dream()
    denoiser_for(distributed(model)).window_logits(IDS % 40, None, 2, 5)
    assert model.outer_calls == 1


def test_rows_are_no_argument_where_every_tensor_is_split_along_the_batch() -> None:
    model = Dream()
    assert splits_batches(compiled(data_parallel(model)))
    assert not splits_batches(distributed(model))
    denoiser_for(data_parallel(model)).window_logits(IDS % 40, None, 2, 5)
    assert "logits_to_keep" not in model.calls[-1]
    denoiser_for(distributed(model)).window_logits(IDS % 40, None, 2, 5)
    assert "logits_to_keep" in model.calls[-1]


def test_a_module_of_the_user_s_own_is_no_wrapper() -> None:
    """It may have undone the shift already."""

    class Aligned(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, input_ids: torch.Tensor) -> Any:
            return self.module(input_ids)

    aligned = Aligned(Dream())
    assert unwrapped(aligned) is aligned
    assert denoiser_for(aligned).shift == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["dream", "sdar", "llada"])
@pytest.mark.parametrize("wrap", [data_parallel, adapted, lambda model: data_parallel(adapted(model))])
def test_loaded_models_decode_in_wrappers(tmp_path: Path, name: str, wrap: Any) -> None:
    folder = written(tmp_path, name)
    model = models.load(folder)
    torch.manual_seed(0)
    wrapped = wrap(model)
    options: dict[str, Any] = {"max_new_tokens": 8, "block_length": 4}
    output = generate(wrapped, IDS[:, :4], scheduler=ConfidenceScheduler(k=1), **options)
    # The adapter is inside the blocks, and so in what the bare model says.
    assert torch.equal(
        output.sequences, generate(model, IDS[:, :4], scheduler=ConfidenceScheduler(k=1), **options).sequences
    )


def test_block_causal_family_is_refused_in_wrappers_too() -> None:
    model = Dream()
    model.config.model_type = "sdar"
    with pytest.raises(ValueError, match="block-causal"):
        denoiser_for(data_parallel(model))
