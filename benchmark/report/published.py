"""Curves that the paper published, as a layer behind what was measured here.

Source: Kang et al., "ParallelBench: Understanding the Trade-offs of Parallel Decoding in Diffusion LLMs", 2025,
arXiv 2510.04767; read off its figures to half a point.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

#: What a plot says of the layer.
LABEL = "published: arXiv 2510.04767, read off its figures to ± 0.5 points; data of 2025, other questions than here"


@dataclass(frozen=True, slots=True)
class PublishedCurve:
    """One line of a figure.

    Attributes:
        model: as the paper names the setting of a model.
        task: a name of ours.
        scheduler: a name of ours.
        points: (tokens per step, headline in percent), in the order of speed.
    """

    model: str
    task: str
    scheduler: str
    points: tuple[tuple[float, float], ...]


@cache
def _file() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files(__package__) / "paper_curves.json").read_text(encoding="utf-8"))
    return found


def published_curves(tasks: Sequence[str], schedulers: Sequence[str]) -> list[PublishedCurve]:
    """What was published of these tasks and schedulers."""
    content = _file()
    found = []
    for model, of_task in content["curves"].items():
        for name, of_method in of_task.items():
            for method, points in of_method.items():
                task, scheduler = content["tasks"][name], content["schedulers"][method]
                if task in tasks and scheduler in schedulers:
                    found.append(PublishedCurve(model, task, scheduler, tuple((x, y) for x, y in points)))
    return found


def published_means(tasks: Sequence[str], schedulers: Sequence[str]) -> list[PublishedCurve]:
    """Means over these tasks, point by point; there are none unless all of the tasks were published.

    A threshold has as many tokens per step as a task lets it: x is a mean, too.
    """
    groups: dict[tuple[str, str], list[PublishedCurve]] = {}
    for curve in published_curves(tasks, schedulers):
        groups.setdefault((curve.model, curve.scheduler), []).append(curve)
    means = []
    for (model, scheduler), curves in groups.items():
        if len(curves) == len(tasks) and len({len(curve.points) for curve in curves}) == 1:
            points = tuple(
                (sum(x for x, _ in at) / len(at), sum(y for _, y in at) / len(at))
                for at in zip(*(curve.points for curve in curves), strict=True)
            )
            means.append(PublishedCurve(model, "", scheduler, points))
    return means
