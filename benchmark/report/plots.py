"""Trade-off plots of a report: headline against tokens per step, as PNG files that are the same bytes every time."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.analysis.summary import PB_SCORES, Point, Summary
from benchmark.protocol.method import Method
from benchmark.report.plot_styles import LINE_STYLES, MARKER_SCALES, Lines, entry_width, legend_handles, style_of
from benchmark.report.tables import value_name
from benchmark.report.theory_plots import draw_panels, panels
from benchmark.store.runs import PLOTS, file_name
from hub_dataset.disk import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RESERVED = ("mean", "overview")
_DPI = 100


def plot_path(task: str) -> str:
    """Name of a task's plot; a task that is called like one of the plots over all tasks gets another."""
    return f"{file_name(task)}{'.task' if task in _RESERVED else ''}.png"


def theory_plot_path(task: str) -> str:
    """Name of the plot that sets a task's measured points beside its closed forms."""
    return f"{file_name(task)}.theory.png"


def write_plots(summary: Summary, directory: Path) -> list[Path]:
    """Draw everything that the summary has points for into `directory`/plots, and return the files.

    One file per task, and one more where closed forms are known that depend on the speed; `mean.png` with the mean over
    all tasks and PBx; `overview.png` with all tasks side by side.
    A plot of an earlier report that nothing is drawn for now is removed.
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
        for task, lines in drawn:
            _draw_single(figure, summary, lines, task, best=_best_scores(summary, task))
            save(plot_path(task))
        if mean := _mean_lines(summary):
            title = f"Mean over {len(summary.tasks)} task{'' if len(summary.tasks) == 1 else 's'}"
            best = {model: summary.best_mean(model) for model in summary.models}
            _draw_single(figure, summary, mean, title, best=best, mark_speeds=True)
            save("mean.png")
        if drawn:
            _draw_overview(figure, summary, drawn)
            save("overview.png")
    for name in (*map(plot_path, summary.tasks), *map(theory_plot_path, summary.tasks), "mean.png", "overview.png"):
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
    return _lines(summary, lambda model, method: summary.points.get((model, task, method)))


def _mean_lines(summary: Summary) -> Lines:
    return _lines(summary, lambda model, method: summary.means.get((model, method)))


def _lines(summary: Summary, find: Callable[[str, Method], Point | None]) -> Lines:
    lines = []
    for model in summary.models:
        for curve in summary.curves:
            points = [(curve.value(method), find(model, method)) for method in curve.methods]
            present = [(value, point) for value, point in points if point is not None]
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
    mark_speeds: bool = False,
) -> None:
    # With several models the legend names them, and the speeds of each stand in the tables.
    speeds = mark_speeds and len(summary.models) == 1
    handles = legend_handles(summary, lines, speeds=speeds)
    rows = sum(str(handle.get_label()).count("\n") + 1 for handle in handles)
    height = max(5.2, 0.15 * rows + 0.09 * len(handles) + 1.0)
    # Names of models on the Hub are long.
    width = max(9.0, 6.75 + max(map(entry_width, handles)))
    figure.clear()
    figure.set_size_inches(width, height)
    axes = figure.add_axes((0.675 / width, 0.57 / height, 5.58 / width, 1 - 1.0 / height))
    _draw_lines(axes, summary, lines, marker_size=6.0, intervals=True)
    _label_methods(axes, summary, lines)
    _mark_best(axes, summary, best, named=True)
    axes.set_title(title, fontsize=12)
    axes.set_xlabel("tokens per step (mean over samples, log scale)")
    is_text = all(point.is_of_text for _, _, points in lines for _, point in points)
    axes.set_ylabel("grammar (%)" if is_text else "headline (%)")
    if mark_speeds:
        _mark_speeds(axes, summary)
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


def _draw_lines(axes: Axes, summary: Summary, lines: Lines, *, marker_size: float, intervals: bool) -> None:
    for curve, model, points in lines:
        colour, marker = style_of(curve, summary.curves)
        ordered = sorted((point for _, point in points), key=lambda point: (point.tokens_per_step, -point.headline))
        x = [point.tokens_per_step for point in ordered]
        y = [point.headline for point in ordered]
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
            low = [point.low for point in ordered]
            high = [point.high for point in ordered]
            axes.vlines(x, low, high, colors=colour, linewidth=1.0, alpha=0.45, zorder=order - 1)
    _scale(axes, [point.tokens_per_step for _, _, points in lines for _, point in points])


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


def _label_methods(axes: Axes, summary: Summary, lines: Lines) -> None:
    """Name the first and the last value of each adaptive curve, so that a reader sees which way it runs."""
    adaptive = [curve.name for curve in summary.curves if curve.adaptive]
    taken: list[tuple[float, float]] = []
    for curve, model, points in lines:
        # One model shows which way the values run; a second one's labels would lie on the first's.
        if not curve.adaptive or model != lines[0][1]:
            continue
        colour, _ = style_of(curve, summary.curves)
        ends = sorted(points, key=lambda item: item[1].tokens_per_step)
        # Every other curve has its labels below, and so has a point where a label above would run into the title.
        below = adaptive.index(curve.name) % 2 == 1
        for (value, point), side in ((ends[0], -1), (ends[-1], 1))[: len(ends)]:
            x, y = axes.transData.transform((point.tokens_per_step, point.headline))
            x, y = x + 6 * side, y + (-13 if below or point.headline > 94 else 6)
            # Curves that end in the same place have their labels one below the other.
            while any(abs(x - other_x) < 24 and abs(y - other_y) < 12 for other_x, other_y in taken):
                y -= 12
            taken.append((x, y))
            axes.annotate(
                value_name(value, adaptive=True),
                (x, y),
                xycoords="figure pixels",
                ha="left" if side > 0 else "right",
                fontsize=8,
                color=colour,
                zorder=6,
            )


def _mark_best(axes: Axes, summary: Summary, best: Mapping[str, float], *, named: bool) -> None:
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


def _mark_speeds(axes: Axes, summary: Summary) -> None:
    """Dotted lines at the scores of PBx, and a bar in a method's colour where PBx lies on them."""
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
    for (_, name), reached in summary.tokens_per_step_at.items():
        for score, speed in reached.items():
            if speed is not None:
                axes.plot(speed, score, color=colours[name], marker="|", markersize=9, markeredgewidth=1.8, zorder=5)


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
        _mark_best(axes, summary, _best_scores(summary, task), named=False)
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
    figure.supxlabel("tokens per step (log scale)", fontsize=10, y=(0.25 + legend) / height)
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
