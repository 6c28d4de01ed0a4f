"""Checks of arguments that every part of the theory shares, and the sizes of the steps of a schedule."""

from collections.abc import Sequence
from fractions import Fraction
from operator import index


def check_count(name: str, value: int, minimum: int = 1) -> int:
    """Return `value` if it is an int of at least `minimum`; otherwise raise TypeError or ValueError naming it."""
    try:
        count = index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {value!r}") from None
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if count < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {count}")
    return count


def exact_decimal(name: str, value: float) -> Fraction:
    """The decimal that `value` is written as, exactly: 0.8 becomes 4/5, so that comparisons with m-ths are exact."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        return Fraction(str(value))
    except ValueError:
        raise ValueError(f"{name} must be finite, got {value!r}") from None


def step_sizes(n: int, k: int | Sequence[int]) -> tuple[int, ...]:
    """Numbers of items committed in each step when n items are decoded k at a time.

    `k` is either one int ≥ 1 (the last step takes what is left, so k need not divide n and may exceed it) or the
    sizes of all steps, each ≥ 1, with sum n. Raises ValueError for n < 1, k < 1 and sizes that do not sum to n.
    """
    n = check_count("n", n)
    if isinstance(k, Sequence):
        sizes = tuple(check_count("every step size", size) for size in k)
        if sum(sizes) != n:
            raise ValueError(f"step sizes must sum to n = {n}, got {list(k)} with sum {sum(sizes)}")
        return sizes
    k = check_count("k", k)
    return (k,) * (n // k) + ((n % k,) if n % k else ())
