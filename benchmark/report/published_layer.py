"""Published curves in a plot: grey, behind what was measured, a line style a model and a marker a method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.report.plot_styles import LINE_STYLES, MARKER_SCALES, STYLES, wrapped
from benchmark.report.published import PublishedCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_GREY = "#A6A6A6"


def draw_published(axes: Axes, curves: Sequence[PublishedCurve]) -> None:
    """Draw them below everything else."""
    models = _models(curves)
    for curve in curves:
        x, y = zip(*curve.points, strict=True)
        axes.plot(
            x, y, color=_GREY, linestyle=LINE_STYLES[models.index(curve.model)], linewidth=1.0, zorder=1.8,
            marker=STYLES[curve.scheduler][1], markersize=4.0 * MARKER_SCALES.get(STYLES[curve.scheduler][1], 1.0),
            markerfacecolor="white", markeredgewidth=0.8, clip_on=False,
        )  # fmt: skip


def published_handles(curves: Sequence[PublishedCurve]) -> list[Line2D]:
    """Legend entries: a line style per model; the markers are those of the methods."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=_GREY, linestyle=LINE_STYLES[number], linewidth=1.0, label=wrapped(f"published: {model}"))
        for number, model in enumerate(_models(curves))
    ]


def _models(curves: Sequence[PublishedCurve]) -> list[str]:
    return list(dict.fromkeys(curve.model for curve in curves))
