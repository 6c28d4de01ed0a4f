"""The unmasking schedulers, one class a file, and the names under which the command line knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_exports

if TYPE_CHECKING:
    from .scheduling_confidence import ConfidenceScheduler
    from .scheduling_entropy import EntropyScheduler
    from .scheduling_factor import FactorScheduler
    from .scheduling_left_to_right import LeftToRightScheduler
    from .scheduling_margin import MarginScheduler
    from .scheduling_random import RandomScheduler
    from .scheduling_rcr import RCRScheduler
    from .scheduling_remdm import ReMDMScheduler
    from .scheduling_threshold import ThresholdScheduler
    from .scheduling_utils import UnmaskingScheduler, UnmaskingSchedulerOutput

__all__ = [
    "ConfidenceScheduler",
    "EntropyScheduler",
    "FactorScheduler",
    "LeftToRightScheduler",
    "MarginScheduler",
    "RCRScheduler",
    "RandomScheduler",
    "ReMDMScheduler",
    "ThresholdScheduler",
    "UnmaskingScheduler",
    "UnmaskingSchedulerOutput",
    "scheduler_class",
    "scheduler_names",
]

_CLASSES = {
    "random": "RandomScheduler",
    "left_to_right": "LeftToRightScheduler",
    "confidence": "ConfidenceScheduler",
    "margin": "MarginScheduler",
    "entropy": "EntropyScheduler",
    "threshold": "ThresholdScheduler",
    "factor": "FactorScheduler",
    "rcr": "RCRScheduler",
    "remdm": "ReMDMScheduler",
}


def scheduler_names() -> list[str]:
    """The short names of all schedulers, in the order in which tables list them. Imports nothing heavy."""
    return list(_CLASSES)


def scheduler_class(name: str) -> type[UnmaskingScheduler]:
    """The scheduler class called `name`: a short name (`"entropy"`) or the class's own (`"EntropyScheduler"`).

    Raises:
        ValueError: no scheduler is called so; the message lists those that are.
    """
    class_name = _CLASSES.get(name, name)
    if class_name not in _CLASSES.values():
        raise ValueError(f"unknown scheduler {name!r}; known are {', '.join(_CLASSES)}")
    found: type[UnmaskingScheduler] = __getattr__(class_name)
    return found


_MODULES = {class_name: f".scheduling_{short}" for short, class_name in _CLASSES.items()} | {
    "UnmaskingScheduler": ".scheduling_utils",
    "UnmaskingSchedulerOutput": ".scheduling_utils",
}
__getattr__, __dir__ = lazy_exports(__name__, _MODULES)
