"""What is written and marked in a trade-off plot beside its curves: ends of curves, models, best scores, PBx."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from benchmark.analysis.summary import PB_SCORES, Summary
from benchmark.protocol.operating_points import OPERATING_POINTS
from benchmark.report.plot_styles import LINE_STYLES, Lines, shown_name, style_of
from benchmark.report.tables import value_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def label_methods(axes: Axes, summary: Summary, lines: Lines) -> None:
    """Name the first and the last value of each adaptive curve, so that a reader sees which way it runs."""
    adaptive = [curve.name for curve in summary.curves if curve.adaptive]
    taken: list[tuple[float, float]] = []
    for curve, model, points in lines:
        # One model shows which way the values run; a second one's labels would lie on the first's.
        if not curve.adaptive or model != lines[0][1]:
            continue
        colour, _ = style_of(curve, summary.curves)
        ends = sorted(points, key=lambda spot: spot.x)
        # Every other curve has its labels below, and so has a point where a label above would run into the title.
        below = adaptive.index(curve.name) % 2 == 1
        for spot, side in ((ends[0], -1), (ends[-1], 1))[: len(ends)]:
            x, y = axes.transData.transform((spot.x, spot.point.headline))
            x, y = x + 6 * side, y + (-13 if below or spot.point.headline > 94 else 6)
            # Curves that end in the same place have their labels one below the other.
            while any(abs(x - other_x) < 24 and abs(y - other_y) < 12 for other_x, other_y in taken):
                y -= 12
            taken.append((x, y))
            axes.annotate(
                value_name(spot.value, adaptive=True),
                (x, y),
                xycoords="figure pixels",
                ha="left" if side > 0 else "right",
                fontsize=8,
                color=colour,
                zorder=6,
            )


def label_models(axes: Axes, lines: Lines) -> None:
    """Name the model of each single point that has no curve: no line shows there whose it is."""
    single = [(model, points[0]) for curve, model, points in lines if curve.scheduler in OPERATING_POINTS]
    if len({model for _, model, _ in lines}) == 1:
        return
    below = float("inf")
    for model, spot in sorted(single, key=lambda item: -item[1].point.headline):
        x, y = axes.transData.transform((spot.x, spot.point.headline))
        # One below the other, where points lie close together.
        below = min(y - 4, below - 11)
        axes.annotate(
            shown_name(model).rpartition("/")[2].rpartition(":")[2],
            (x + 8, below),
            xycoords="figure pixels",
            fontsize=8,
            color="#444444",
            zorder=6,
        )


def mark_best(axes: Axes, summary: Summary, best: Mapping[str, float], *, named: bool) -> None:
    """A thin line in a model's style at the best score that is left to it, where right answers do not fit."""
    for number, model in enumerate(summary.models):
        if best[model] >= 100:
            continue
        style = LINE_STYLES[number % len(LINE_STYLES)]
        axes.axhline(best[model], color="#444444", linestyle=style, linewidth=0.6, zorder=1.5)
        if named:
            axes.annotate(
                "the rest does not fit",
                (0.0, best[model]),
                xycoords=("axes fraction", "data"),
                xytext=(3, 2),
                textcoords="offset points",
                fontsize=7,
                color="#444444",
            )


def mark_speeds(axes: Axes, summary: Summary, count: str) -> None:
    """Dotted lines at the scores of PBx, and a bar in a method's colour where PBx in this count lies on them."""
    for score in PB_SCORES:
        axes.axhline(score, color="#444444", linestyle=":", linewidth=1.0, zorder=1.5)
        axes.annotate(
            f"PB{score}",
            (1.0, score),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            ha="left",
            va="center",
            annotation_clip=False,
            fontsize=8,
            color="#444444",
        )
    colours = {curve.name: style_of(curve, summary.curves)[0] for curve in summary.curves}
    for (_, name, of), reached in summary.largest_at.items():
        for score, speed in reached.items():
            if of == count and speed is not None:
                axes.plot(speed, score, color=colours[name], marker="|", markersize=9, markeredgewidth=1.8, zorder=5)
