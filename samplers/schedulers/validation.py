"""Checks of arguments: one clear line that names the value and what would have been right."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


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


def check_proposal(temperature: float | None, top_p: float | None, top_k: int | None) -> None:
    """Raise ValueError unless tokens can be drawn with these; None is always right."""
    check_range("temperature", temperature, 0, math.inf, "a finite number of at least 0", upper_open=True)
    check_range("top_p", top_p, 0, 1, "in (0, 1]", lower_open=True)
    check_count("top_k", top_k)


def check_shape(name: str, logits: Tensor | None, sample: Tensor) -> None:
    """Raise ValueError unless `logits` are (batch, window, vocab) for a `sample` of (batch, window), or None."""
    if logits is not None and (logits.dim() != 3 or logits.shape[:2] != sample.shape):
        raise ValueError(
            f"{name} has shape {tuple(logits.shape)} and sample {tuple(sample.shape)}; "
            "they should be (batch, window, vocab) and (batch, window)"
        )
