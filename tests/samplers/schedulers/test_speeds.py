"""Which parameter sets a scheduler's speed: what every class here says, and what is taken for one that says nothing."""

from typing import Any

import pytest
from diffusers.configuration_utils import register_to_config

from samplers import EntropyScheduler, ThresholdScheduler, UnmaskingScheduler, built_in_scheduler_names, scheduler_class
from samplers.schedulers.scheduling_quota import QuotaScheduler

LOW_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
QUOTA = ("k", False, None)
ADAPTIVE = ("threshold", True, LOW_THRESHOLDS)
NEITHER = (None, False, None)
SPEEDS = {
    "random": QUOTA,
    "left_to_right": QUOTA,
    "confidence": QUOTA,
    "margin": QUOTA,
    "entropy": QUOTA,
    # The values of the published protocol (arXiv 2510.04767).
    "threshold": ("threshold", True, (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),
    "factor": ("factor", True, (0.7, 1.0, 1.3, 1.6, 1.9)),
    "rcr": QUOTA,
    "remdm": QUOTA,
    "quota_threshold": ADAPTIVE,
    "editing": ADAPTIVE,
    "hierarchy": ADAPTIVE,
    "eb": ("entropy_bound", True, (0.001, 0.01, 0.1, 0.6)),
    "klass": ADAPTIVE,
    "position_calibrated": QUOTA,
    "dilated": NEITHER,
    "slow_fast": ADAPTIVE,
    "saber": QUOTA,
    "wino": ADAPTIVE,
    "credit": ADAPTIVE,
    "prophet": QUOTA,
    "ascending": NEITHER,
    "frechet": ("delta", True, (0.02, 0.1, 0.2, 0.25, 0.3)),
    "local_leap": ("near_threshold", True, (0.5, 0.6, 0.7, 0.75, 0.8)),
    "lopa": ("branches", True, (1, 3, 7, 14)),
    "dapd": ("tau_max", True, (0.05, 0.15, 0.3, 0.5)),
    "dawn": ("low_threshold", True, (0.5, 0.6, 0.7, 0.75, 0.8)),
}


def speed(cls: Any) -> tuple[str | None, bool, tuple[float, ...] | None]:
    return cls.speed_parameter, cls.adaptive, cls.speed_values


@pytest.mark.parametrize("name", SPEEDS)
def test_these_classes_say_what_sets_their_speed(name: str) -> None:
    assert speed(scheduler_class(name)) == SPEEDS[name]


@pytest.mark.parametrize("name", built_in_scheduler_names())
def test_every_class_takes_the_values_that_it_names(name: str) -> None:
    cls = scheduler_class(name)
    assert cls.blocks_follow_k == (name == "left_to_right")
    for value in cls.speed_values or ((1, 2, 4) if cls.speed_parameter else ()):
        assert cls(**{cls.speed_parameter: value}).config[cls.speed_parameter] == value


def test_a_class_that_says_nothing_is_asked_for_its_arguments() -> None:
    class Parent(UnmaskingScheduler):
        """Takes what all schedulers take."""

    class Bounded(UnmaskingScheduler):
        @register_to_config
        def __init__(self, *, entropy_bound: float = 0.1) -> None:
            super().__init__()

    class Counted(UnmaskingScheduler):
        @register_to_config
        def __init__(self, *, k: int = 2, lead: float = 0.5) -> None:
            super().__init__()

    class Careful(QuotaScheduler):
        @register_to_config
        def __init__(self, *, threshold: float = 0.5, k: int | None = None) -> None:
            super().__init__(k=k)

    assert speed(Parent) == NEITHER
    assert speed(Bounded) == ("entropy_bound", True, (0.001, 0.01, 0.1, 0.6))
    assert speed(Counted) == QUOTA
    assert speed(Careful) == ADAPTIVE


def test_a_class_takes_over_what_its_parent_says() -> None:
    class Plain(ThresholdScheduler):
        pass

    class Renamed(EntropyScheduler):
        speed_parameter = "lead"
        speed_values = (0.0, 0.1)

        @register_to_config
        def __init__(self, *, lead: float = 0.0, k: int | None = None) -> None:
            super().__init__(k=k)

    class Again(Renamed):
        adaptive = True

        @register_to_config
        def __init__(self, *, lead: float = 0.5, threshold: float = 0.1) -> None:
            super().__init__(lead=lead)

    class Passing(ThresholdScheduler):
        @register_to_config
        def __init__(self, *, lead: float = 0.0, **others: Any) -> None:
            super().__init__(**others)

    class Fixed(ThresholdScheduler):
        speed_parameter = None

    class Without(ThresholdScheduler):
        @register_to_config
        def __init__(self, *, k: int = 4) -> None:
            super().__init__(threshold=1 / k)

    assert speed(Plain) == speed(Passing) == speed(ThresholdScheduler)
    assert speed(Renamed) == ("lead", False, (0.0, 0.1))
    # A new threshold comes before what the parent said; its values are no longer the parent's.
    assert speed(Again) == ("threshold", True, LOW_THRESHOLDS)
    assert speed(Fixed) == NEITHER
    assert speed(Without) == QUOTA


def test_a_parameter_that_the_constructor_does_not_take_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Mistyped: speed_parameter='treshold' .* threshold, score"):

        class Mistyped(ThresholdScheduler):
            speed_parameter = "treshold"
