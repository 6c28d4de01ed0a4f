"""The model inside its wrappers, where its config, its family and the names of its arguments are found."""

from __future__ import annotations

from typing import Any

#: Classes that hold the model in `.module` and hide everything else of it; their subclasses do so too.
_HOLDERS = {"DataParallel", "DistributedDataParallel", "FullyShardedDataParallel", "DeepSpeedEngine"}


def unwrapped(model: Any) -> Any:
    """The model inside torch.compile, data parallelism and PEFT, in any nesting; any other model as it is.

    The wrapper is still what has to be called. A module of the user's own is none of these, whatever it keeps under the
    name `module`: it may do anything with the logits of the model inside.
    """
    seen: list[Any] = []
    while not any(model is one for one in seen):
        seen.append(model)
        model = _inside(model)
    return model


def splits_batches(model: Any) -> bool:
    """Whether one of the wrappers cuts every tensor argument along its first dimension, which must be the batch."""
    while (inside := _inside(model)) is not model:
        if "DataParallel" in _classes(model):
            return True
        model = inside
    return False


def uncompiled(model: Any) -> Any:
    """The model without torch.compile around it, whose other wrappers stay."""
    return model._orig_mod if "_orig_mod" in getattr(model, "_modules", {}) else model


def _inside(model: Any) -> Any:
    if (inside := uncompiled(model)) is not model:
        return inside
    classes = _classes(model)
    if _HOLDERS & classes:
        return model.module
    if classes & {"PeftModel", "PeftMixedModel"}:
        return model.get_base_model()
    return model


def _classes(model: Any) -> set[str]:
    return {one.__name__ for one in type(model).__mro__}
