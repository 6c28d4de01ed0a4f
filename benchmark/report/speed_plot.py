"""The second plane of a report: headline against tokens per second, where every kind of model has a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.analysis.curves import Curve
from benchmark.analysis.summary import Point, Summary
from benchmark.report.plot_styles import MARKER_SCALES, entry_width, shown_name, style_of, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Its file.
SPEED_PLOT = "tokens_per_second.png"
#: Stands below it where its seconds are not those of a setting that is decoded alone.
SHARED_SECONDS = "settings shared forward passes: their seconds are shares (alone: --no-sharing --fresh)"
# Paul Tol's "bright" and "vibrant" schemes without what is hard to see on white. A model keeps its colour in a run.
_COLOURS = (
    "#4477AA",
    "#EE6677",
    "#228833",
    "#AA3377",
    "#EE7733",
    "#009988",
    "#66CCEE",
    "#CC3311",
    "#8A8A8A",
    "#000000",
)

#: A curve of a model that has been timed, and its points in the order of the curve.
Timed = tuple[str, Curve, list[tuple[float, Point]]]


def timed_curves(summary: Summary) -> list[Timed]:
    """What the plane shows: means over the tasks with tokens per second, of runs that timed several models."""
    found: list[Timed] = []
    for model in summary.models:
        for curve in summary.curves:
            points = [summary.means.get((model, method)) for method in curve.methods]
            timed = [(p.tokens_per_second, p) for p in points if p is not None and p.tokens_per_second is not None]
            if timed:
                found.append((model, curve, timed))
    return found if len({model for model, _, _ in found}) > 1 else []


def draw_speeds(figure: Figure, summary: Summary, timed: list[Timed]) -> None:
    """Draw the plane: a colour for each model, a marker for each method."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, LogLocator

    models = list(dict.fromkeys(model for model, _, _ in timed))
    curves = [curve for curve in summary.curves if any(curve is drawn for _, drawn, _ in timed)]
    colours = {model: _COLOURS[number % len(_COLOURS)] for number, model in enumerate(models)}

    def handle(label: str, colour: str, marker: str) -> Line2D:
        size = 6.5 * MARKER_SCALES.get(marker, 1.0)
        return Line2D([], [], color=colour, marker=marker, markersize=size, linestyle="", label=wrapped(label))

    handles = [handle(shown_name(model), colours[model], "s") for model in models]
    handles += [handle(curve.name, "#444444", style_of(curve, summary.curves)[1]) for curve in curves]
    rows = sum(str(each.get_label()).count("\n") + 1 for each in handles)
    height = max(5.2, 0.24 * rows + 1.0)
    width = max(9.0, 6.75 + max(map(entry_width, handles)))
    shared = any(point.shared for _, _, points in timed for _, point in points)
    # A second line below the plane.
    below = 0.18 if shared else 0.0
    height += below
    figure.clear()
    figure.set_size_inches(width, height)
    axes = figure.add_axes((0.675 / width, (0.57 + below) / height, 5.58 / width, 1 - (1.0 + below) / height))
    for model, curve, points in timed:
        marker = style_of(curve, summary.curves)[1]
        x, y = [speed for speed, _ in points], [point.headline for _, point in points]
        axes.plot(
            x, y, color=colours[model], marker=marker, markersize=7.0 * MARKER_SCALES.get(marker, 1.0),
            markeredgecolor="white", markeredgewidth=0.5, linewidth=1.0, alpha=0.95, clip_on=False, zorder=3,
        )  # fmt: skip
        axes.vlines(
            x, [p.low for _, p in points], [p.high for _, p in points], colors=colours[model], linewidth=1.0, alpha=0.45
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    # A plane of one decade has no other ticks to read.
    axes.xaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(which="minor", labelsize=8)
    axes.set_ylim(-2, 102)
    axes.set_yticks(range(0, 101, 20))
    axes.set_title(f"Score and speed, mean over {len(summary.tasks)} task{'' if len(summary.tasks) == 1 else 's'}")
    axes.set_xlabel("tokens per second (log scale)" + (f"\n{SHARED_SECONDS}" if shared else ""))
    axes.set_ylabel("headline (%)")
    figure.legend(
        handles=handles,
        alignment="left",
        loc="upper left",
        bbox_to_anchor=(6.66 / width, 1 - 0.3 / height),
        fontsize=9,
        labelspacing=0.6,
    )
