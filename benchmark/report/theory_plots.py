"""Plots that set what was measured beside the closed forms, a panel per method that closed forms are known for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.analysis.closed_forms import ClosedForm, closed_forms
from benchmark.analysis.curves import Curve
from benchmark.analysis.summary import Point, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Margin and entropy are blind to what was drawn, so their closed forms are that of the random order.
_SCHEDULERS = ("random", "left_to_right", "confidence", "threshold")
# Of Paul Tol's "muted" scheme, as the methods' colours are; here a colour is a model.
_MODEL_STYLES = (
    ("#332288", "o"), ("#CC3311", "s"), ("#117733", "^"), ("#AA4499", "D"), ("#B8A13A", "v"), ("#5BB5DD", "P"),
)  # fmt: skip
_CAPTION = (
    "Closed forms decode items of one token each and nothing else; for models, x counts the tokens of items alone "
    "(see benchmark.analysis.closed_forms).\nThe ideal model samples, others are greedy, unless the run says otherwise."
)


@dataclass(frozen=True, slots=True)
class Panel:
    """One method on one task: its closed forms, and per model the points of its values, (x, point)."""

    scheduler: str
    forms: tuple[ClosedForm, ...]
    measured: tuple[tuple[str, tuple[tuple[float, Point], ...]], ...]


def panels(summary: Summary, task: str) -> list[Panel]:
    """What there is to draw for a task; nothing where the closed forms say that any speed is right, always."""
    lengths = summary.lengths.get(task)
    # Runs of earlier versions do not say which closed forms hold; the names of the benchmark's tasks do.
    kind = summary.settings.get("kinds", {}).get(task, task)
    if lengths is None or kind is None:
        return []
    found = []
    for scheduler in _SCHEDULERS:
        curve = plain_curve(summary, scheduler)
        if curve is None:
            continue
        forms = closed_forms(kind, lengths, scheduler)
        measured = tuple(
            (model, points) for model in summary.models if (points := _points(summary, model, task, curve))
        )
        if forms and measured:
            found.append(Panel(scheduler, tuple(forms), measured))
    flat = all(accuracy == 100 for panel in found for form in panel.forms for _, _, accuracy in form.points)
    return [] if flat else found


def draw_panels(figure: Figure, summary: Summary, task: str, drawn: list[Panel]) -> None:
    """Draw the panels of a task side by side."""
    width, height = 3.6 * len(drawn) + 0.7, 4.6
    figure.clear()
    figure.set_size_inches(max(width, 7.4), height)
    width = max(width, 7.4)
    grid = figure.subplots(1, len(drawn), squeeze=False)
    for axes, panel in zip(grid.flat, drawn, strict=True):
        _draw_panel(axes, summary, panel)
    figure.subplots_adjust(
        left=0.6 / width, right=1 - 0.2 / width, top=1 - 0.75 / height, bottom=1.4 / height, wspace=0.18
    )
    figure.text(0.2 / width, 1 - 0.28 / height, f"{task}: measured and closed form", fontsize=12, fontweight="bold")
    figure.supylabel("headline (%)", fontsize=10, x=0.12 / width)
    handles = {
        label: handle for axes in grid.flat for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles=list(handles.values()),
        labels=list(handles),
        loc="lower center",
        bbox_to_anchor=(0.5, 0.5 / height),
        ncols=len(handles),
        fontsize=9,
    )
    figure.text(0.5, 0.1 / height, _CAPTION, fontsize=7.5, color="#444444", ha="center", va="bottom")


def plain_curve(summary: Summary, scheduler: str) -> Curve | None:
    """The scheduler's curve without further parameters, which the closed forms know nothing of."""
    wanted = (scheduler, "threshold" if scheduler == "threshold" else "k", ())
    return next((c for c in summary.curves if (c.scheduler, c.parameter, c.fixed) == wanted), None)


def _points(summary: Summary, model: str, task: str, curve: Curve) -> tuple[tuple[float, Point], ...]:
    points = []
    for method in curve.methods:
        point = summary.points.get((model, task, method))
        x = None
        if point is not None:
            x = curve.value(method) if curve.parameter == "threshold" else point.item_tokens_per_step
        if point is not None and x is not None:
            points.append((x, point))
    return tuple(sorted(points, key=lambda item: item[0]))


def _draw_panel(axes: Axes, summary: Summary, panel: Panel) -> None:
    for form in panel.forms:
        # The names stand for all panels, so that of a curve that has no greedy twin does not say how it is decoded.
        label = "closed form, greedy" if form.greedy else "closed form, sampled"
        style = "--" if form.greedy else "-"
        for run in unbroken(form.scheduler, form.points):
            axes.plot(
                [x for _, x, _ in run], [y for _, _, y in run], color="black", linestyle=style, linewidth=1.3, zorder=2
            )
            if len(run) == 1:
                # A line of one point cannot be seen: a piece of one, over what was measured there.
                axes.plot(
                    *run[0][1:], color="black", marker="_", markersize=14, markeredgewidth=1.8, zorder=5, clip_on=False
                )
        x, y = zip(*[(x, accuracy) for _, x, accuracy in form.points], strict=True)
        size = 0.0 if panel.scheduler == "threshold" else 3.0
        axes.plot(x, y, color="black", linestyle="none", marker=".", markersize=size, zorder=2)
        axes.plot([], [], color="black", linestyle=style, linewidth=1.3, label=label)
    for model, points in panel.measured:
        colour, marker = _MODEL_STYLES[summary.models.index(model) % len(_MODEL_STYLES)]
        xs = [x for x, _ in points]
        axes.plot(
            xs,
            [point.headline for _, point in points],
            color=colour,
            marker=marker,
            markersize=5.5,
            markeredgecolor="white",
            markeredgewidth=0.5,
            linewidth=1.4,
            label=model,
            zorder=4,
            clip_on=False,
        )
        lows, highs = [point.low for _, point in points], [point.high for _, point in points]
        axes.vlines(xs, lows, highs, colors=colour, linewidth=1.0, alpha=0.45, zorder=3)
    axes.set_title(panel.scheduler, fontsize=10)
    axes.set_ylim(-2, 102)
    axes.set_yticks(range(0, 101, 20))
    axes.tick_params(labelsize=8)
    if panel.scheduler == "threshold":
        # From slow to fast, as in the panels beside it.
        axes.set_xlim(1.02, 0.48)
        axes.set_xlabel("threshold", fontsize=9)
        return
    _scale(axes, [x for _, points in panel.measured for x, _ in points], panel.forms)
    axes.set_xlabel("tokens of items per step (log scale)", fontsize=9)


def unbroken(scheduler: str, points: Sequence[Sequence[float]]) -> list[list[Sequence[float]]]:
    """Stretches of a closed form, (parameter, x, accuracy) each, whose parameters follow each other; between others
    nothing is known."""
    step = 1.0 if scheduler != "threshold" else points[1][0] - points[0][0]
    runs: list[list[Sequence[float]]] = []
    before = None
    for point in points:
        if before is None or point[0] - before > 1.5 * step:
            runs.append([])
        runs[-1].append(point)
        before = point[0]
    return runs


def _scale(axes: Axes, measured: list[float], forms: tuple[ClosedForm, ...]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.set_xscale("log", base=2)
    known = [*measured, *(x for form in forms for _, x, _ in form.points)]
    left, right = min(known) / 1.15, max(known) * 1.15
    ticks = [2.0**power for power in range(-8, 9) if left <= 2.0**power <= right]
    axes.set_xlim(left, right)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, [f"{tick:g}" if tick >= 1 else f"1/{1 / tick:g}" for tick in ticks])
