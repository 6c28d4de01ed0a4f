"""The unmasking schedulers, one class a file, and the names under which the command line knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_exports
from .registry import (
    BUILT_IN,
    built_in_scheduler_names,
    protocol_scheduler_names,
    register_scheduler,
    scheduler_class,
    scheduler_names,
)

if TYPE_CHECKING:
    from .scheduling_ascending import AscendingScheduler
    from .scheduling_confidence import ConfidenceScheduler
    from .scheduling_credit import CreditScheduler
    from .scheduling_dilated import DilatedScheduler
    from .scheduling_eb import EBScheduler
    from .scheduling_editing import EditingScheduler
    from .scheduling_entropy import EntropyScheduler
    from .scheduling_factor import FactorScheduler
    from .scheduling_hierarchy import HierarchyScheduler
    from .scheduling_klass import KLASSScheduler
    from .scheduling_left_to_right import LeftToRightScheduler
    from .scheduling_margin import MarginScheduler
    from .scheduling_position_calibrated import PositionCalibratedScheduler
    from .scheduling_prophet import ProphetScheduler
    from .scheduling_quota_threshold import QuotaThresholdScheduler
    from .scheduling_random import RandomScheduler
    from .scheduling_rcr import RCRScheduler
    from .scheduling_remdm import ReMDMScheduler
    from .scheduling_saber import SaberScheduler
    from .scheduling_slow_fast import SlowFastScheduler
    from .scheduling_threshold import ThresholdScheduler
    from .scheduling_utils import UnmaskingScheduler, UnmaskingSchedulerOutput
    from .scheduling_wino import WINOScheduler

__all__ = [
    "AscendingScheduler",
    "ConfidenceScheduler",
    "CreditScheduler",
    "DilatedScheduler",
    "EBScheduler",
    "EditingScheduler",
    "EntropyScheduler",
    "FactorScheduler",
    "HierarchyScheduler",
    "KLASSScheduler",
    "LeftToRightScheduler",
    "MarginScheduler",
    "PositionCalibratedScheduler",
    "ProphetScheduler",
    "QuotaThresholdScheduler",
    "RCRScheduler",
    "RandomScheduler",
    "ReMDMScheduler",
    "SaberScheduler",
    "SlowFastScheduler",
    "ThresholdScheduler",
    "UnmaskingScheduler",
    "UnmaskingSchedulerOutput",
    "WINOScheduler",
    "built_in_scheduler_names",
    "protocol_scheduler_names",
    "register_scheduler",
    "scheduler_class",
    "scheduler_names",
]

_MODULES = {class_name: f".scheduling_{short}" for short, class_name in BUILT_IN.items()} | {
    "UnmaskingScheduler": ".scheduling_utils",
    "UnmaskingSchedulerOutput": ".scheduling_utils",
}
__getattr__, __dir__ = lazy_exports(__name__, _MODULES)
