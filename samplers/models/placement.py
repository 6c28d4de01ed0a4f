"""Where each parameter goes: one device, or several that accelerate chooses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .network import DiffusionLanguageModel


@dataclass(frozen=True)
class Placement:
    """Decisions about a model that has no memory yet.

    Attributes:
        device_of: parameter or module → its device.
        finish: what becomes of a parameter that is complete, for quantisation; None leaves it as it is.
        spread: called with the filled model; adds what moves activations between devices.
    """

    device_of: Callable[[str], torch.device]
    finish: Callable[[str, Tensor], Any] | None
    spread: Callable[[DiffusionLanguageModel], DiffusionLanguageModel]


def place(
    model: DiffusionLanguageModel,
    *,
    dtype: torch.dtype,
    device: str | torch.device | None,
    device_map: str | dict[str, Any] | None,
    quantization_config: Any = None,
) -> Placement:
    """Decide where the parameters of `model`, which lies on the meta device, will go.

    Raises:
        ValueError: accelerate is needed and not installed, or the device does not exist.
    """
    if quantization_config is not None:
        from .quantisation import finisher

        finish = finisher(model, quantization_config)
    else:
        finish = None
    if device_map is None:
        where = torch.get_default_device() if device is None else _device(device)
        return Placement(lambda name: where, finish, lambda filled: filled)
    try:
        import accelerate
    except ImportError:
        raise ValueError(
            f"device_map={device_map!r} needs accelerate; install it with `pip install parallelbench[models]`"
        ) from None
    chosen = device_map
    if isinstance(device_map, str):
        if device_map != "auto":
            raise ValueError(f"device_map is {device_map!r}; it should be 'auto' or a dict from modules to devices")
        # On the meta device parameters are float32; what counts is the dtype that they will have.
        sizes = {name: dtype for name, _ in model.named_parameters()}
        chosen = accelerate.infer_auto_device_map(
            model, no_split_module_classes=model.model._no_split_modules, dtype=dtype, special_dtypes=sizes
        )
    assert isinstance(chosen, dict)
    devices = {
        name: torch.device(where if isinstance(where, str) else f"cuda:{where}")
        if not isinstance(where, torch.device)
        else where
        for name, where in chosen.items()
    }

    def device_of(name: str) -> torch.device:
        parts = name.split(".")
        for count in range(len(parts), -1, -1):
            if ".".join(parts[:count]) in devices:
                return devices[".".join(parts[:count])]
        return next(iter(devices.values()))

    def spread(filled: DiffusionLanguageModel) -> DiffusionLanguageModel:
        accelerate.dispatch_model(filled, chosen, skip_keys=["past_key_values"])
        return filled

    return Placement(device_of, finish, spread)


def _device(device: str | torch.device) -> torch.device:
    try:
        found = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device {device!r} is not known to torch; try 'cpu', 'cuda' or 'cuda:1'") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {str(found)!r}: torch sees no CUDA device here")
    return found
