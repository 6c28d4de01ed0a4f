"""Bootstrap intervals of averages: how far a score would move if other rows of the same kind had been asked."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .averages import collect_scores, group_by_task

RESAMPLES = 1000
LEVEL = 0.95
# Counts drawn at once: 2 million of 8 bytes are 16 MB, however many rows there are.
CHUNK = 2_000_000


def bootstrap_interval(values: Sequence[float]) -> list[float]:
    """Return the ends of the 95 % percentile bootstrap interval of the mean of `values` (0..1), in percent.

    1,000 resamples, drawn with a fixed seed: equal values give equal intervals. Values that are all alike give an
    interval of width 0, which says nothing about rows that were not asked.

    Source: Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979.
    """
    generator = np.random.default_rng([0])
    column = np.asarray(values, dtype=np.float64)
    rows = len(column)
    chance = np.full(rows, 1.0 / rows)
    at_once = max(1, CHUNK // rows)
    means: list[Any] = []
    for start in range(0, RESAMPLES, at_once):
        counts = generator.multinomial(rows, chance, size=min(at_once, RESAMPLES - start))
        means.append(counts @ column / rows)
    tail = (1.0 - LEVEL) / 2 * 100
    return [100.0 * float(end) for end in np.percentile(np.concatenate(means), [tail, 100 - tail])]


def bootstrap_intervals(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the interval of every score over the samples that have it, and of each task's under `tasks`."""
    intervals: dict[str, Any] = _intervals(samples)
    return {**intervals, "tasks": {task: _intervals(group) for task, group in group_by_task(samples).items()}}


def _intervals(samples: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    return {name: bootstrap_interval(values) for name, values in collect_scores(samples).items()}
