"""In which order answers were committed: rank correlations of step and position."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.analysis.statistics import FloatArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Order:
    """How far samples were committed from left to right: 1 strictly so, -1 from right to left, about 0 in no order.

    Each is the mean over the samples for which it is defined (two positions at least, and more than one step), NaN
    where there is none.

    Attributes:
        kendall, spearman: over all generated positions.
        kendall_answer, spearman_answer: over those of the answer, without the end tokens and what follows them.
    """

    kendall: float
    spearman: float
    kendall_answer: float
    spearman_answer: float


def order_of(samples: Sequence[Mapping[str, Any]]) -> Order | None:
    """The order of samples as they are on disk; None where a run of an earlier version did not note their steps."""
    steps: list[list[int]] = [sample["commit_steps"] for sample in samples if sample.get("commit_steps") is not None]
    if not steps or len(steps) < len(samples):
        return None
    lengths = np.array(list(map(len, steps)))
    length = int(lengths.max())
    padded = np.zeros((len(steps), length), dtype=np.int64)
    for row, of_sample in zip(padded, steps, strict=True):
        row[: len(of_sample)] = of_sample
    answers = np.array([sample.get("num_answer_tokens", length) for sample in samples])
    pairs = _pairs(padded)
    found = [
        (_tau(pairs, counted), spearman_rho(padded, counted)) for counted in (lengths, np.minimum(answers, lengths))
    ]
    (tau, rho), (tau_answer, rho_answer) = found
    return Order(*map(_mean, (tau, rho, tau_answer, rho_answer)))


def mean_order(orders: Sequence[Order | None]) -> Order | None:
    """The mean over tasks, each counting the same and those where it is undefined not at all; None if one is None."""
    known = [order for order in orders if order is not None]
    if not known or len(known) < len(orders):
        return None
    return Order(*(_mean(np.array(values)) for values in zip(*map(astuple, known), strict=True)))


def kendall_tau(steps: IntArray, lengths: IntArray) -> FloatArray:
    """Kendall's tau-b of step against position in each sample, (samples,); NaN where there are no two steps.

    With P pairs of positions, C of them committed from left to right, D from right to left and T at the same step,
    tau-b is (C - D) / sqrt(P (P - T)): positions have no ties (Kendall, "The treatment of ties in ranking problems",
    Biometrika 33, 1945).

    Args:
        steps: (samples, positions): at which step each position was committed.
        lengths: (samples,): how many positions count, from the left.

    Raises:
        ValueError: a length lies outside 0 and the number of positions.
    """
    _check(steps, lengths)
    return _tau(_pairs(steps), lengths)


def _pairs(steps: IntArray) -> tuple[IntArray, IntArray]:
    """For each position, (samples, positions): C - D, and T, of the pairs that it ends."""
    # Small numbers, one distance after the other: a report has thousands of these.
    small = steps.astype(np.int32)
    difference, tied = np.zeros_like(small), np.zeros_like(small)
    for distance in range(1, steps.shape[1]):
        later, earlier = small[:, distance:], small[:, :-distance]
        difference[:, distance:] += later > earlier
        difference[:, distance:] -= later < earlier
        tied[:, distance:] += later == earlier
    return difference.astype(np.int64), tied.astype(np.int64)


def _tau(pairs: tuple[IntArray, IntArray], lengths: IntArray) -> FloatArray:
    counted = np.arange(pairs[0].shape[1]) < lengths[:, None]
    difference, tied = ((of_position * counted).sum(axis=1) for of_position in pairs)
    all_pairs = lengths * (lengths - 1) / 2
    return _ratio(difference.astype(np.float64), np.sqrt(all_pairs * (all_pairs - tied)))


def spearman_rho(steps: IntArray, lengths: IntArray) -> FloatArray:
    """Spearman's rho of step against position in each sample, (samples,): the correlation of their ranks.

    Positions committed at the same step share the mean of their ranks. NaN where there are no two steps.

    Args:
        steps, lengths: as for `kendall_tau`.

    Raises:
        ValueError: as `kendall_tau` does.
    """
    _check(steps, lengths)
    positions = steps.shape[1]
    counted = np.arange(positions) < lengths[:, None]
    # Sorted by step, each run of equal steps takes the mean of the places that it covers.
    last = np.where(counted, steps, np.iinfo(np.int64).max)
    ordering = np.argsort(last, axis=1, kind="stable")
    ordered = np.take_along_axis(last, ordering, axis=1)
    begins = np.ones_like(ordered, dtype=bool)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    ends = np.ones_like(begins)
    ends[:, :-1] = begins[:, 1:]
    places = np.arange(positions)
    first = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    final = np.minimum.accumulate(np.where(ends, places, positions - 1)[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty(steps.shape)
    np.put_along_axis(ranks, ordering, (first + final) / 2, axis=1)
    middle = (lengths[:, None] - 1) / 2
    by_step = np.where(counted, ranks - middle, 0.0)
    by_position = np.where(counted, places - middle, 0.0)
    together = (by_step * by_position).sum(axis=1)
    return _ratio(together, np.sqrt((by_step**2).sum(axis=1) * (by_position**2).sum(axis=1)))


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    found = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=found, where=denominator > 0)
    return found


def _mean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _check(steps: IntArray, lengths: IntArray) -> None:
    if steps.ndim != 2 or lengths.shape != steps.shape[:1]:
        raise ValueError(
            f"steps have shape {steps.shape} and lengths {lengths.shape}; expected (n, positions) and (n,)"
        )
    if len(lengths) and not (lengths.min() >= 0 and lengths.max() <= steps.shape[1]):
        raise ValueError(f"lengths lie in {lengths.min()}..{lengths.max()}; there are {steps.shape[1]} positions")
