"""Averaging the scores of rows, over all of them and task by task."""

from collections.abc import Iterable, Mapping
from math import fsum
from typing import Any

LABELS = frozenset({"scorer", "task"})


def collect_scores(samples: Iterable[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return the values of every score over the samples that have it; labels are passed over."""
    columns: dict[str, list[float]] = {}
    for sample in samples:
        for name, value in sample.items():
            if name not in LABELS:
                columns.setdefault(name, []).append(value)
    return columns


def group_by_task(samples: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the samples of each task; those that name no task are grouped by their scorer."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for sample in samples:
        groups.setdefault(sample.get("task", sample["scorer"]), []).append(sample)
    return groups


def average_percentages(samples: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Average every score over the samples that have it; a score that no sample has is left out.

    Args:
        samples: one mapping per row, score name to value in 0..1; labels are passed over.

    Returns:
        Score name to mean, in percent.
    """
    return {name: 100.0 * fsum(values) / len(values) for name, values in collect_scores(samples).items()}


def average_tasks(samples: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Average the scores of each task, in percent; samples that name no task are grouped by their scorer."""
    return {task: average_percentages(group) for task, group in group_by_task(samples).items()}
