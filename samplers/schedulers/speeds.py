"""Which parameter of a scheduler sets how fast it decodes, for classes that do not say so themselves."""

from __future__ import annotations

import inspect
from typing import Any

#: Parameters that let a method commit as many tokens as it is sure of, with the values that papers report.
ADAPTIVE_SPEEDS: dict[str, tuple[float, ...]] = {
    "threshold": (0.5, 0.6, 0.7, 0.8, 0.9),
    "factor": (0.7, 1.0, 1.3, 1.6, 1.9),
    "entropy_bound": (0.001, 0.01, 0.1, 0.6),
}


def fill_in_speed(cls: Any, parent: Any) -> None:
    """Set `speed_parameter`, `adaptive` and `speed_values` of a scheduler class where its body does not.

    A parameter of the constructor that `parent` does not have sets the speed if it is called `threshold`, `factor` or
    `entropy_bound`. Otherwise it is the parent's one if the class still takes it, else `k` if it takes that.

    Raises:
        TypeError: the class names a parameter that its constructor does not take.
    """
    taken = inspect.signature(cls.__init__).parameters
    takes_anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values())
    if "speed_parameter" not in vars(cls):
        known = inspect.signature(parent.__init__).parameters
        new = [name for name in ADAPTIVE_SPEEDS if name in taken and name not in known]
        kept = [name for name in (parent.speed_parameter, "k") if name in taken or (takes_anything and name in known)]
        cls.speed_parameter = next(iter([*new, *kept]), None)
    named = cls.speed_parameter
    if named is not None and named not in taken and not takes_anything:
        raise TypeError(f"{cls.__name__}: speed_parameter={named!r} should be one of {', '.join([*taken][1:])}")
    if named != parent.speed_parameter:
        if "adaptive" not in vars(cls):
            cls.adaptive = named in ADAPTIVE_SPEEDS
        if "speed_values" not in vars(cls):
            cls.speed_values = ADAPTIVE_SPEEDS.get(named)
