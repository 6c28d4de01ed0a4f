"""Linear layers quantised while they are read, with bitsandbytes or torchao, as transformers' configs describe it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from .network import DiffusionLanguageModel
from .requirements import needed_by


def finisher(model: DiffusionLanguageModel, quantization_config: Any) -> Callable[[str, Tensor], nn.Parameter | None]:
    """Prepare a model on the meta device; the result quantises a parameter that has just been read.

    The linear layers of the decoder are quantised; embedding, norms, routers, stacked experts and the output head stay
    as they are.

    Args:
        model: on the meta device.
        quantization_config: transformers' `BitsAndBytesConfig` or `TorchAoConfig`.

    Raises:
        ValueError: the config is of another kind, or its package is not installed.
    """
    method = getattr(quantization_config, "quant_method", None)
    name = str(getattr(method, "value", method))
    if name.startswith("bitsandbytes"):
        return _bitsandbytes(model, quantization_config)
    if name == "torchao":
        return _torchao(model, quantization_config)
    raise ValueError(
        f"quantization_config is a {type(quantization_config).__name__}; it should be transformers' "
        "BitsAndBytesConfig or TorchAoConfig"
    )


def _bitsandbytes(model: DiffusionLanguageModel, config: Any) -> Callable[[str, Tensor], nn.Parameter | None]:
    with needed_by("this quantization_config", "bitsandbytes"):
        import bitsandbytes
    from transformers.integrations.bitsandbytes import replace_with_bnb_linear

    skipped = config.llm_int8_skip_modules or []
    model.model = replace_with_bnb_linear(model.model, modules_to_not_convert=skipped, quantization_config=config)
    kinds = {bitsandbytes.nn.Linear4bit: bitsandbytes.nn.Params4bit}
    kinds[bitsandbytes.nn.Linear8bitLt] = bitsandbytes.nn.Int8Params

    def finish(name: str, tensor: Tensor) -> nn.Parameter | None:
        owner, _, attribute = name.rpartition(".")
        module = model.get_submodule(owner)
        kind = kinds.get(type(module))
        if kind is None or attribute != "weight":
            return None
        settings = {key: value for key, value in vars(module.weight).items() if not key.startswith("_")}
        parameter: nn.Parameter = kind(tensor, requires_grad=False, **settings).to(tensor.device)
        return parameter

    return finish


def _torchao(model: DiffusionLanguageModel, config: Any) -> Callable[[str, Tensor], nn.Parameter | None]:
    with needed_by("this quantization_config", "torchao"):
        from torchao.quantization import quantize_
    recipe = config.get_apply_tensor_subclass()
    skipped = config.modules_to_not_convert or []

    def finish(name: str, tensor: Tensor) -> nn.Parameter | None:
        owner, _, attribute = name.rpartition(".")
        module = model.get_submodule(owner)
        inside = owner.startswith("model.layers.") and not any(part in owner for part in skipped)
        if not (inside and attribute == "weight" and type(module) is nn.Linear):
            return None
        module.weight = nn.Parameter(tensor, requires_grad=False)
        quantize_(module, recipe, filter_fn=lambda one, path: one is module)
        return module.weight

    return finish
