"""Unmasking schedulers for diffusion LLMs, and the loop that drives a model with them.

    from samplers import EntropyScheduler, generate

    output = generate(model, input_ids, scheduler=EntropyScheduler(k=4), max_new_tokens=32)

Importing this package costs milliseconds: torch and diffusers are imported when a name is first touched.
"""

from typing import TYPE_CHECKING

from ._lazy import lazy_exports

if TYPE_CHECKING:
    from .denoisers import DecodingSession, Denoiser, SessionRequest, denoiser_for
    from .loop.generation import generate, stream
    from .loop.outputs import GenerationOutput, GenerationStep
    from .loop.streaming import partial_texts
    from .schedulers import (
        AscendingScheduler,
        ConfidenceScheduler,
        CreditScheduler,
        DilatedScheduler,
        EBScheduler,
        EditingScheduler,
        EntropyScheduler,
        FactorScheduler,
        HierarchyScheduler,
        KLASSScheduler,
        LeftToRightScheduler,
        MarginScheduler,
        PositionCalibratedScheduler,
        ProphetScheduler,
        QuotaThresholdScheduler,
        RandomScheduler,
        RCRScheduler,
        ReMDMScheduler,
        SaberScheduler,
        SlowFastScheduler,
        ThresholdScheduler,
        UnmaskingScheduler,
        UnmaskingSchedulerOutput,
        WINOScheduler,
        built_in_scheduler_names,
        protocol_scheduler_names,
        register_scheduler,
        scheduler_class,
        scheduler_names,
    )
    from .schedulers.proposals import RecordedProposal
    from .schedulers.views import ModelView, Wants

__all__ = [
    "AscendingScheduler",
    "ConfidenceScheduler",
    "CreditScheduler",
    "DecodingSession",
    "Denoiser",
    "DilatedScheduler",
    "EBScheduler",
    "EditingScheduler",
    "EntropyScheduler",
    "FactorScheduler",
    "GenerationOutput",
    "GenerationStep",
    "HierarchyScheduler",
    "KLASSScheduler",
    "LeftToRightScheduler",
    "MarginScheduler",
    "ModelView",
    "PositionCalibratedScheduler",
    "ProphetScheduler",
    "QuotaThresholdScheduler",
    "RCRScheduler",
    "RandomScheduler",
    "ReMDMScheduler",
    "RecordedProposal",
    "SaberScheduler",
    "SessionRequest",
    "SlowFastScheduler",
    "ThresholdScheduler",
    "UnmaskingScheduler",
    "UnmaskingSchedulerOutput",
    "WINOScheduler",
    "Wants",
    "built_in_scheduler_names",
    "denoiser_for",
    "generate",
    "partial_texts",
    "protocol_scheduler_names",
    "register_scheduler",
    "scheduler_class",
    "scheduler_names",
    "stream",
]

_MODULES = dict.fromkeys(__all__, ".schedulers") | {
    "DecodingSession": ".denoisers",
    "Denoiser": ".denoisers",
    "SessionRequest": ".denoisers",
    "ModelView": ".schedulers.views",
    "RecordedProposal": ".schedulers.proposals",
    "Wants": ".schedulers.views",
    "denoiser_for": ".denoisers",
    "GenerationOutput": ".loop.outputs",
    "GenerationStep": ".loop.outputs",
    "generate": ".loop.generation",
    "stream": ".loop.generation",
    "partial_texts": ".loop.streaming",
}
__getattr__, __dir__ = lazy_exports(__name__, _MODULES)
