"""What tells the curves of a report's plots apart: colours, markers, line styles, and the legend that names them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from benchmark.analysis.curves import Curve
from benchmark.analysis.summary import PB_SCORES, Point, Summary
from benchmark.report.tables import UNFINISHED, number

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

LineStyle = Literal["-", "--", ":", "-."] | tuple[int, tuple[float, ...]]

# Paul Tol's "muted" scheme, told apart by people with any common kind of colour blindness, sand darkened for white
# paper. A method keeps colour and marker in every plot of every run.
STYLES = {
    "random": ("#8A8A8A", "o"),
    "left_to_right": ("#B8A13A", ">"),
    "confidence": ("#332288", "s"),
    "margin": ("#5BB5DD", "D"),
    "entropy": ("#44AA99", "v"),
    "threshold": ("#CC3311", "*"),
    "factor": ("#882255", "P"),
    "rcr": ("#117733", "^"),
    "remdm": ("#AA4499", "X"),
}
_MORE_STYLES = (("#000000", "h"), ("#EE7733", "p"), ("#0077BB", "d"), ("#999933", "<"), ("#CC6677", "H"))
# More than four models are told apart by the lengths of dashes and gaps, in units of the line's width.
LINE_STYLES: tuple[LineStyle, ...] = (
    "-", "--", ":", "-.", (0, (8, 2)), (0, (1, 4)), (0, (5, 1, 1, 1, 1, 1)), (0, (8, 3, 3, 3)),
)  # fmt: skip
# Stars and crosses cover less than full shapes of the same width.
MARKER_SCALES = {"*": 1.6, "P": 1.3, "X": 1.2, "o": 0.9, "s": 0.9, "D": 0.85}
_LEGEND_WIDTH = 28

# One per curve and model: its methods that are there, with the values of the curve's parameter.
Lines = list[tuple[Curve, str, list[tuple[float | None, Point]]]]


def style_of(curve: Curve, curves: Sequence[Curve]) -> tuple[str, str]:
    """Colour and marker of a curve: its scheduler's own for the first curve of it, further ones for the others."""
    first = {other.scheduler: other.name for other in reversed(curves)}
    if curve.scheduler in STYLES and first[curve.scheduler] == curve.name:
        return STYLES[curve.scheduler]
    others = [c.name for c in curves if c.scheduler not in STYLES or first[c.scheduler] != c.name]
    return _MORE_STYLES[others.index(curve.name) % len(_MORE_STYLES)]


def legend_handles(summary: Summary, lines: Lines, *, speeds: bool = False) -> list[Line2D]:
    """Legend entries: a line per curve, with its PBx if `speeds`, and a line style per model if there are several."""
    from matplotlib.lines import Line2D

    names = {curve.name for curve, _, _ in lines}
    handles = []
    for curve in summary.curves:
        if curve.name in names:
            colour, marker = style_of(curve, summary.curves)
            label = _wrapped(curve.name)
            if speeds:
                reached = summary.tokens_per_step_at.get((summary.models[0], curve.name))
                values = [UNFINISHED if reached is None else number(reached[score]) for score in PB_SCORES]
                label += f"\n{' / '.join(values)}"
            size = 6.0 * MARKER_SCALES.get(marker, 1.0)
            handles.append(Line2D([], [], color=colour, marker=marker, markersize=size, label=label))
    if len(summary.models) > 1:
        for model in dict.fromkeys(model for _, model, _ in lines):
            style = LINE_STYLES[summary.models.index(model) % len(LINE_STYLES)]
            handles.append(Line2D([], [], color="#222222", linestyle=style, label=_wrapped(model)))
    return handles


def _wrapped(name: str) -> str:
    return "\n".join(textwrap.wrap(name, _LEGEND_WIDTH)) or name


def entry_width(handle: Line2D) -> float:
    """Inches that a legend entry takes: its handle, and about 0.08 for each letter of its name."""
    return 0.65 + 0.08 * max(map(len, str(handle.get_label()).splitlines()))
