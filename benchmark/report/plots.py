"""Trade-off plots of a report: headline against tokens per step, as PNG files that are the same bytes every time."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.analysis.summary import PB_SCORES, Point, Summary
from benchmark.protocol.method import Method
from benchmark.report.plot_marks import label_methods, label_models, mark_best, mark_speeds
from benchmark.report.plot_styles import LINE_STYLES, MARKER_SCALES, Lines, Spot, entry_width, legend_handles, style_of
from benchmark.report.published import LABEL, PublishedCurve, published_curves, published_means
from benchmark.report.published_layer import draw_published, published_handles
from benchmark.report.speed_plot import SPEED_PLOT, draw_speeds, timed_curves
from benchmark.report.theory_plots import draw_panels, panels
from benchmark.store.runs import PLOTS, file_name
from hub_dataset.disk import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class _Axis:
    """What an x axis counts: a number of a point, and how the axis says so; `mean` is the plot of means over it."""

    count: str
    label: str
    mean: str


_STEPS = _Axis("tokens_per_step", "tokens per step, padding included", "mean")
_AXES = (
    _STEPS,
    _Axis("content_tokens_per_step", "content tokens per step, padding left out", "mean.content"),
    _Axis("num_forward_passes", "forward passes for an answer", "mean.passes"),
)
_RESERVED = (*(axis.mean for axis in _AXES), "overview", SPEED_PLOT.removesuffix(".png"))
_DPI = 100


def plot_path(task: str) -> str:
    """Name of a task's plot; a task that is called like one of the plots over all tasks gets another."""
    return f"{file_name(task)}{'.task' if task in _RESERVED else ''}.png"


def theory_plot_path(task: str) -> str:
    """Name of the plot that sets a task's measured points beside its closed forms."""
    return f"{file_name(task)}.theory.png"


def write_plots(summary: Summary, directory: Path, *, published: bool = False) -> list[Path]:
    """Draw everything that the summary has points for into `directory`/plots, and return the files.

    One file per task, and one more where closed forms are known that depend on the speed; `mean.png` with the mean over
    all tasks and PBx, `mean.content.png` and `mean.passes.png` with the same by content tokens per step and by forward
    passes; `overview.png` with all tasks side by side; and, where several models were timed, the plane of tokens per
    second. A plot of an earlier report that nothing is drawn for now is removed.

    Args:
        summary: of a run.
        directory: of its report.
        published: whether the paper's curves stand behind those of tasks, and of their mean.
    """
    folder = directory / PLOTS
    written: list[Path] = []
    with _clean_matplotlib():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(dpi=_DPI)
        FigureCanvasAgg(figure)

        def save(name: str) -> None:
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", metadata={"Software": None})
            write_atomically(folder / name, buffer.getvalue())
            written.append(folder / name)

        for task in summary.tasks:
            if found := panels(summary, task):
                draw_panels(figure, summary, task, found)
                save(theory_plot_path(task))
        drawn = [(task, lines) for task in summary.tasks if (lines := _task_lines(summary, task))]
        schedulers = list(dict.fromkeys(curve.scheduler for curve in summary.curves)) if published else []
        for task, lines in drawn:
            behind = published_curves([task], schedulers)
            _draw_single(figure, summary, lines, task, best=_best_scores(summary, task), behind=behind)
            save(plot_path(task))
        for axis in _AXES:
            if mean := _lines(summary, axis, lambda model, method: summary.means.get((model, method))):
                title = f"Mean over {len(summary.tasks)} task{'' if len(summary.tasks) == 1 else 's'}"
                best = {model: summary.best_mean(model) for model in summary.models}
                # The paper has tokens per step alone.
                behind = published_means(summary.tasks, schedulers) if axis is _STEPS else []
                _draw_single(figure, summary, mean, title, best=best, axis=axis, is_mean=True, behind=behind)
                save(f"{axis.mean}.png")
        if drawn:
            _draw_overview(figure, summary, drawn)
            save("overview.png")
        if timed := timed_curves(summary):
            draw_speeds(figure, summary, timed)
            save(SPEED_PLOT)
    ours = (*(f"{name}.png" for name in _RESERVED),)
    for name in (*map(plot_path, summary.tasks), *map(theory_plot_path, summary.tasks), *ours):
        if folder / name not in written:
            (folder / name).unlink(missing_ok=True)
    return written


@contextmanager
def _clean_matplotlib() -> Iterator[None]:
    """Matplotlib with its own defaults, whatever the user's configuration says, and names taken literally."""
    matplotlib = _import_matplotlib()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "text.parse_math": False,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.grid": True,
                "grid.color": "#E4E4E4",
                "grid.linewidth": 0.8,
                "axes.axisbelow": True,
                "axes.titleweight": "bold",
                "axes.titlelocation": "left",
                "legend.frameon": False,
                "font.size": 10.0,
            }
        )
        yield


def _import_matplotlib() -> Any:
    """Matplotlib, also where a setting of the user's does not let it be imported.

    It refuses a backend that is not installed, which notebooks name in MPLBACKEND for every process they start, and a
    matplotlibrc that it cannot read. Files are drawn without either.
    """
    try:
        return import_module("matplotlib")
    except ImportError:
        raise
    except Exception:  # whatever reading the settings raises
        # What was imported half would be found, and not be imported again.
        for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
            del sys.modules[name]
    package = find_spec("matplotlib")
    assert package is not None
    assert package.origin is not None
    users = os.environ.pop("MPLBACKEND", None)
    try:
        # It looks for a matplotlibrc in the current directory first; here lies its own.
        with chdir(Path(package.origin).with_name("mpl-data")):
            return import_module("matplotlib")
    finally:
        if users is not None:
            os.environ["MPLBACKEND"] = users


def _task_lines(summary: Summary, task: str) -> Lines:
    return _lines(summary, _STEPS, lambda model, method: summary.points.get((model, task, method)))


def _lines(summary: Summary, axis: _Axis, find: Callable[[str, Method], Point | None]) -> Lines:
    lines = []
    for model in summary.models:
        for curve in summary.curves:
            points = [(method, point) for method in curve.methods if (point := find(model, method)) is not None]
            # What has no tokens per step has its place in the plane of tokens per second.
            present = [
                Spot(curve.value(method), x, point)
                for method, point in points
                if (x := getattr(point, axis.count)) is not None and not isnan(x)
            ]
            if present:
                lines.append((curve, model, present))
    return lines


def _best_scores(summary: Summary, task: str) -> dict[str, float]:
    return {model: summary.best_scores.get((model, task), 100.0) for model in summary.models}


def _draw_single(
    figure: Figure,
    summary: Summary,
    lines: Lines,
    title: str,
    *,
    best: Mapping[str, float],
    axis: _Axis = _STEPS,
    is_mean: bool = False,
    behind: Sequence[PublishedCurve] = (),
) -> None:
    # With several models the legend names them, and the speeds of each stand in the tables.
    speeds = is_mean and len(summary.models) == 1 and axis is _STEPS
    handles = [*legend_handles(summary, lines, speeds=speeds), *published_handles(behind)]
    rows = sum(str(handle.get_label()).count("\n") + 1 for handle in handles)
    # What the curves behind are is said below the axis.
    source = 0.3 if behind else 0.0
    height = max(5.2, 0.15 * rows + 0.09 * len(handles) + 1.0) + source
    # Names of models on the Hub are long.
    width = max(9.0, 6.75 + max(map(entry_width, handles)))
    figure.clear()
    figure.set_size_inches(width, height)
    axes = figure.add_axes((0.675 / width, (0.57 + source) / height, 5.58 / width, 1 - (1.0 + source) / height))
    draw_published(axes, behind)
    _draw_lines(axes, summary, lines, marker_size=6.0, intervals=True, behind=behind)
    label_methods(axes, summary, lines)
    label_models(axes, lines)
    mark_best(axes, summary, best, named=True)
    axes.set_title(title, fontsize=12)
    axes.set_xlabel(f"{axis.label} (mean over samples, log scale)")
    is_text = all(spot.point.is_of_text for _, _, points in lines for spot in points)
    axes.set_ylabel("grammar (%)" if is_text else "headline (%)")
    if is_mean:
        mark_speeds(axes, summary, axis.count)
    if behind:
        figure.text(0.12 / width, 0.1 / height, LABEL, fontsize=7.5, color="#444444")
    figure.legend(
        handles=handles,
        title=f"PB{' / '.join(map(str, PB_SCORES))}, tokens per step" if speeds else None,
        title_fontsize=9,
        alignment="left",
        loc="upper left",
        bbox_to_anchor=(6.66 / width, 1 - 0.3 / height),
        fontsize=9,
        handlelength=2.6,
        labelspacing=0.6,
    )


def _draw_lines(
    axes: Axes,
    summary: Summary,
    lines: Lines,
    *,
    marker_size: float,
    intervals: bool,
    behind: Sequence[PublishedCurve] = (),
) -> None:
    for curve, model, points in lines:
        colour, marker = style_of(curve, summary.curves)
        ordered = sorted(points, key=lambda spot: (spot.x, -spot.point.headline))
        x = [spot.x for spot in ordered]
        y = [spot.point.headline for spot in ordered]
        # Methods that choose their own speed are drawn on top: their points lie between those of the others.
        order = 4 if curve.adaptive else 3
        axes.plot(
            x,
            y,
            color=colour,
            marker=marker,
            markersize=marker_size * MARKER_SCALES.get(marker, 1.0),
            markeredgecolor="white" if intervals else colour,
            markeredgewidth=0.5 if intervals else 0.0,
            linewidth=2.0 if curve.adaptive else 1.4,
            linestyle=LINE_STYLES[summary.models.index(model) % len(LINE_STYLES)],
            zorder=order,
            clip_on=False,
        )
        if intervals:
            low = [spot.point.low for spot in ordered]
            high = [spot.point.high for spot in ordered]
            axes.vlines(x, low, high, colors=colour, linewidth=1.0, alpha=0.45, zorder=order - 1)
    _scale(axes, [*(spot.x for _, _, points in lines for spot in points), *(x for c in behind for x, _ in c.points)])


def _scale(axes: Axes, speeds: Sequence[float]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.set_xscale("log", base=2)
    left, right = min(*speeds, 1.0), max(*speeds, 2.0)
    axes.set_xlim(left / 1.08, right * 1.08)
    ticks = [2.0**power for power in range(-6, 15) if left / 1.08 <= 2.0**power <= right * 1.08]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(-2, 102)
    axes.set_yticks(range(0, 101, 20))


def _draw_overview(figure: Figure, summary: Summary, drawn: list[tuple[str, Lines]]) -> None:
    columns = min(4, len(drawn))
    rows = -(-len(drawn) // columns)
    width = 3.1 * columns + 0.6
    handles = legend_handles(summary, [line for _, lines in drawn for line in lines])
    entries = [entry_width(handle) for handle in handles]
    one_row = sum(entries) <= width
    legend_columns = len(handles) if one_row else max(1, int(width / max(entries)))
    legend = 0.1 + 0.22 * -(-len(handles) // legend_columns)
    height = 2.35 * rows + 0.8 + legend
    figure.clear()
    figure.set_size_inches(width, height)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (task, lines) in zip(grid.flat, drawn, strict=False):
        _draw_lines(axes, summary, lines, marker_size=4.0, intervals=False)
        mark_best(axes, summary, _best_scores(summary, task), named=False)
        axes.set_title(task, fontsize=9)
        axes.tick_params(labelsize=8)
    for axes in list(grid.flat)[len(drawn) :]:
        axes.set_axis_off()
    figure.subplots_adjust(
        left=0.55 / width,
        right=1 - 0.15 / width,
        top=1 - 0.3 / height,
        bottom=(0.7 + legend) / height,
        hspace=0.42,
        wspace=0.2,
    )
    figure.supxlabel(f"{_STEPS.label} (log scale)", fontsize=10, y=(0.25 + legend) / height)
    figure.supylabel("headline (%)", fontsize=10, x=0.08 / width)
    figure.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=legend_columns,
        fontsize=9,
        columnspacing=1.4,
        handletextpad=0.5,
    )
