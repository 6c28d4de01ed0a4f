"""Unmasking schedulers for diffusion LLMs, and the loop that drives a model with them.

    from samplers import EntropyScheduler, generate

    output = generate(model, input_ids, scheduler=EntropyScheduler(k=4), max_new_tokens=32)

Importing this package costs milliseconds: torch and diffusers are imported when a name is first touched.
"""

from typing import TYPE_CHECKING

from ._lazy import lazy_exports

if TYPE_CHECKING:
    from .denoisers import Denoiser, denoiser_for
    from .generation import GenerationOutput, generate
    from .schedulers import (
        ConfidenceScheduler,
        EntropyScheduler,
        FactorScheduler,
        LeftToRightScheduler,
        MarginScheduler,
        RandomScheduler,
        RCRScheduler,
        ReMDMScheduler,
        ThresholdScheduler,
        UnmaskingScheduler,
        UnmaskingSchedulerOutput,
        scheduler_class,
        scheduler_names,
    )

__all__ = [
    "ConfidenceScheduler",
    "Denoiser",
    "EntropyScheduler",
    "FactorScheduler",
    "GenerationOutput",
    "LeftToRightScheduler",
    "MarginScheduler",
    "RCRScheduler",
    "RandomScheduler",
    "ReMDMScheduler",
    "ThresholdScheduler",
    "UnmaskingScheduler",
    "UnmaskingSchedulerOutput",
    "denoiser_for",
    "generate",
    "scheduler_class",
    "scheduler_names",
]

_MODULES = dict.fromkeys(__all__, ".schedulers") | {
    "Denoiser": ".denoisers",
    "denoiser_for": ".denoisers",
    "GenerationOutput": ".generation",
    "generate": ".generation",
}
__getattr__, __dir__ = lazy_exports(__name__, _MODULES)
