"""Weights with fewer bits, by torchao: smaller, and on some GPUs faster, for answers that differ here and there."""

from __future__ import annotations

from typing import Any

#: What `--quantization` takes: torchao's configuration of each, and the compute capability that a GPU has to have.
RECIPES: dict[str, tuple[str, tuple[int, int] | None]] = {
    "int8": ("Int8WeightOnlyConfig", None),
    "fp8": ("Float8DynamicActivationFloat8WeightConfig", (8, 9)),
}


def check_quantization(name: str | None, device: str) -> None:
    """Refuse what cannot be had here, before anything is loaded.

    Args:
        name: of `RECIPES`, or None.
        device: as `find_device` gives it.

    Raises:
        ValueError: no such recipe, torchao is not installed, or the device cannot compute in it.
    """
    if name is None:
        return
    if name not in RECIPES:
        raise ValueError(f"quantization is {name!r}; it should be one of {', '.join(RECIPES)}")
    quantization_config(name)
    least = RECIPES[name][1]
    if least is None:
        return
    import torch

    found = None if device == "cpu" or not torch.cuda.is_available() else torch.cuda.get_device_capability()
    if found is None or found < least:
        has = "this is not one" if found is None else f"this one has {found[0]}.{found[1]}"
        raise ValueError(
            f"--quantization {name} takes a GPU of compute capability {least[0]}.{least[1]} or better, and {has}; "
            "int8 runs everywhere"
        )


def quantization_config(name: str) -> Any:
    """The configuration that `samplers.models.load` takes.

    Raises:
        ValueError: torchao is not installed.
    """
    from transformers import TorchAoConfig

    try:
        from torchao import quantization
    except ImportError:
        raise ValueError(
            f"--quantization {name} needs torchao, which is not installed; pip install 'parallelbench[quantisation]'"
        ) from None
    return TorchAoConfig(quant_type=getattr(quantization, RECIPES[name][0])())
