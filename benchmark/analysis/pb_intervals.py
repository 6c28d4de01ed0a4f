"""PBx with intervals: the bootstrap over questions, carried through to the tokens per step that are reached."""

from __future__ import annotations

import numpy as np

from benchmark.analysis.statistics import FloatArray, percentile_interval

#: x of PBx → lower and upper end in tokens per step; None is never reached.
Ends = dict[int, tuple[float | None, float | None]]


def pb_interval_ends(speeds: FloatArray, scores: FloatArray, wanted: tuple[int, ...], *, interpolate: bool) -> Ends:
    """The ends of the 95 % intervals of PBx of one curve.

    Questions of every task are drawn anew as for the intervals of scores; each resample's curve has a PBx. One that
    never reaches x counts as 0 tokens per step, and an end of 0 is None.

    Args:
        speeds: tokens per step, (resamples, points).
        scores: percent, of the same shape.
        wanted: each x.
        interpolate: whether the curve exists between its points.
    """
    found: Ends = {}
    for score, reached in largest_of_each(speeds, scores, wanted, interpolate=interpolate).items():
        low, high = percentile_interval(reached[:, None])
        found[score] = float(low[0]) or None, float(high[0]) or None
    return found


def largest_of_each(
    speeds: FloatArray, scores: FloatArray, wanted: tuple[int, ...], *, interpolate: bool
) -> dict[int, FloatArray]:
    """Each x → what `largest_tokens_per_step` says of each row of points, 0 for None, (resamples,)."""
    speeds, scores = _in_order(speeds, scores)
    return {score: _largest(speeds, scores, score, interpolate=interpolate) for score in wanted}


def _in_order(speeds: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Each row from slow to fast; of points of one speed all have the best score of them."""
    order = np.lexsort((scores, speeds))
    speeds, scores = np.take_along_axis(speeds, order, axis=1), np.take_along_axis(scores, order, axis=1)
    for column in range(scores.shape[1] - 2, -1, -1):
        same = speeds[:, column] == speeds[:, column + 1]
        scores[:, column] = np.where(same, scores[:, column + 1], scores[:, column])
    return speeds, scores


def _largest(speeds: FloatArray, scores: FloatArray, score: float, *, interpolate: bool) -> FloatArray:
    count = scores.shape[1]
    rows = np.arange(len(scores))
    reached = scores >= score
    last = count - 1 - reached[:, ::-1].argmax(axis=1)
    found = speeds[rows, last]
    if interpolate:
        behind = np.minimum(last + 1, count - 1)
        falls = reached.any(axis=1) & (last < count - 1)
        above, below = scores[rows, last], scores[rows, behind]
        share = (above - score) / np.where(falls, above - below, 1.0)
        found = np.where(falls, found + (speeds[rows, behind] - found) * share, found)
    return np.where(reached.any(axis=1), found, 0.0)
