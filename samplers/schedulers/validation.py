"""Checks of constructor arguments: one clear line that names the value and what would have been right."""

from __future__ import annotations


def check_count(name: str, value: int | None, *, optional: bool = True, least: int = 1) -> None:
    """Raise ValueError unless `value` is a whole number of at least `least` (or None, if `optional`)."""
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name}={value!r} should be a whole number of at least {least}")


def check_range(
    name: str,
    value: float | None,
    low: float,
    high: float,
    wanted: str,
    *,
    lower_open: bool = False,
    upper_open: bool = False,
    optional: bool = True,
) -> None:
    """Raise ValueError unless `value` lies between `low` and `high` (or is None, if `optional`).

    `wanted` says the range in words.
    """
    if value is None and optional:
        return
    inside = (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and low <= value <= high
        and not (lower_open and value == low)
        and not (upper_open and value == high)
    )
    # A comparison with NaN is false, so NaN lies in no range.
    if not inside:
        raise ValueError(f"{name}={value!r} should be {wanted}")


def check_flag(name: str, value: bool) -> None:
    """Raise ValueError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r} should be True or False")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name}={value!r} should be one of {', '.join(choices)}")
