"""Where each parameter goes: one device, or several that accelerate chooses."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .network import DiffusionLanguageModel
from .requirements import needed_by


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
        ValueError: accelerate is needed and not installed, a device does not exist, `device_map` leaves a parameter
            without one, or all devices together and the host are too small.
    """
    if quantization_config is not None:
        from .quantisation import finisher

        finish = finisher(model, quantization_config)
    else:
        finish = None
    if device_map is None:
        where = torch.get_default_device() if device is None else _device(device)
        return Placement(lambda name: where, finish, lambda filled: filled)
    with needed_by(f"device_map={device_map!r}", "accelerate"):
        import accelerate
    chosen = device_map
    chosen_by_hand = not isinstance(device_map, str)
    if isinstance(device_map, str):
        if device_map != "auto":
            raise ValueError(f"device_map is {device_map!r}; it should be 'auto' or a dict from modules to devices")
        chosen = _balanced(model, dtype)
    assert isinstance(chosen, dict)
    # accelerate knows the host by its name alone.
    chosen = {name: str(where) if isinstance(where, torch.device) else where for name, where in chosen.items()}
    names = {name: to if isinstance(to, str) else f"cuda:{to}" for name, to in chosen.items()}
    if chosen_by_hand:
        for target in names.values():
            _device(target)
        # accelerate would say so too, but after the weights have been read.
        forgotten = [name for name in model.state_dict() if _covering(name, names) is None]
        if forgotten:
            more = f" and {len(forgotten) - 1} others" if len(forgotten) > 1 else ""
            raise ValueError(f"device_map has no device for {forgotten[0]}{more}; '' stands for the whole model")
    devices = {name: torch.device(to) for name, to in names.items()}

    def device_of(name: str) -> torch.device:
        module = _covering(name, devices)
        # A buffer outside of all modules that are named.
        return next(iter(devices.values())) if module is None else devices[module]

    def spread(filled: DiffusionLanguageModel) -> DiffusionLanguageModel:
        # Left to itself, accelerate takes any one of a set.
        main = next((where for where in chosen.values() if where != "cpu"), None)
        accelerate.dispatch_model(filled, chosen, main_device=main, skip_keys=["past_key_values"])
        return filled

    return Placement(device_of, finish, spread)


def _covering(name: str, modules: Collection[str]) -> str | None:
    """The innermost of these modules in which a parameter lies; None where it lies in none of them."""
    parts = name.split(".")
    prefixes = (".".join(parts[:count]) for count in range(len(parts), -1, -1))
    return next((prefix for prefix in prefixes if prefix in modules), None)


def _balanced(model: DiffusionLanguageModel, dtype: torch.dtype) -> dict[str, Any]:
    """Module → device, with about as many weights on each GPU, so that each has room for activations and keys."""
    import accelerate
    from accelerate.utils import get_balanced_memory

    options: dict[str, Any] = {
        "no_split_module_classes": model.model._no_split_modules,
        "dtype": dtype,
        # On the meta device parameters are float32; what counts is the dtype that they will have.
        "special_dtypes": {name: dtype for name, _ in model.named_parameters()},
    }
    room = get_balanced_memory(model, **options)
    chosen: dict[str, Any] = accelerate.infer_auto_device_map(model, max_memory=room, **options)
    if "disk" in chosen.values():
        raise ValueError(f"the model does not fit into the memory of all devices and of the host together in {dtype}")
    return chosen


def _device(device: str | torch.device) -> torch.device:
    try:
        found = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device {device!r} is not known to torch; try 'cpu', 'cuda' or 'cuda:1'") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {str(found)!r}: torch sees no CUDA device here")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {str(found)!r}: torch sees {torch.cuda.device_count()} GPUs here, counted from 0")
    return found
