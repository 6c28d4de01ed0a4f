"""What tells the curves of a report's plots apart: colours, markers, line styles, and the legend that names them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Literal

from benchmark.analysis.curves import Curve
from benchmark.analysis.summary import PB_SCORES, Point, Summary
from benchmark.protocol.method import BLOCK_LENGTH
from benchmark.report.tables import UNFINISHED, number

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

LineStyle = Literal["-", "--", ":", "-."] | tuple[int, tuple[float, ...]]

# Paul Tol's "muted" scheme, told apart by people with any common kind of colour blindness, sand darkened for white
# paper. A method keeps colour and marker in every plot of every run.
STYLES = {
    "random": ("#707070", "o"),
    "left_to_right": ("#B8A13A", ">"),
    "confidence": ("#332288", "s"),
    "margin": ("#5BB5DD", "D"),
    "entropy": ("#44AA99", "v"),
    "threshold": ("#CC3311", "*"),
    "factor": ("#882255", "P"),
    "rcr": ("#117733", "^"),
    "remdm": ("#AA4499", "X"),
    "autoregressive": ("#6F4E37", "h"),
    "served": ("#D6249F", "p"),
}
# The markers of operating points come last: they stand beside second curves, and where a colour is a model's, alone.
_MORE_STYLES = (("#000000", "d"), ("#EE7733", "<"), ("#0077BB", "H"), ("#999933", "p"), ("#CC6677", "h"))
# More than four models are told apart by the lengths of dashes and gaps, in units of the line's width.
LINE_STYLES: tuple[LineStyle, ...] = (
    "-", "--", ":", "-.", (0, (8, 2)), (0, (1, 4)), (0, (5, 1, 1, 1, 1, 1)), (0, (8, 3, 3, 3)),
)  # fmt: skip
# Stars and crosses cover less than full shapes of the same width.
MARKER_SCALES = {"*": 1.6, "P": 1.3, "X": 1.2, "o": 0.9, "s": 0.9, "D": 0.85}
_LEGEND_WIDTH = 28


@dataclass(frozen=True, slots=True)
class Spot:
    """A point as it is drawn: the value of its curve's parameter, what the x axis counts, and its numbers."""

    value: float | None
    x: float
    point: Point


# One per curve and model: its methods that are there.
Lines = list[tuple[Curve, str, list[Spot]]]


def style_of(curve: Curve, curves: Sequence[Curve]) -> tuple[str, str]:
    """Colour and marker of a curve: its scheduler's own for the first curve of it, further ones for the others.

    Curves that differ in the block length alone share both, and the shorter the blocks, the paler the colour.
    """
    kinds = list(dict.fromkeys((c.scheduler, _without_blocks(c)) for c in curves))
    first = {scheduler: (scheduler, fixed) for scheduler, fixed in reversed(kinds)}
    kind = (curve.scheduler, _without_blocks(curve))
    others = [each for each in kinds if each[0] not in STYLES or first[each[0]] != each]
    more = _MORE_STYLES[others.index(kind) % len(_MORE_STYLES)] if kind in others else None
    colour, marker = more or STYLES[curve.scheduler]
    lengths = sorted({_blocks(c) for c in curves if (c.scheduler, _without_blocks(c)) == kind})
    return _paler(colour, (lengths.index(_blocks(curve)) + 1) / len(lengths)), marker


def _without_blocks(curve: Curve) -> tuple[object, ...]:
    return curve.parameter, tuple(item for item in curve.fixed if item[0] != BLOCK_LENGTH)


def _blocks(curve: Curve) -> float:
    """The block length of a curve; one block as long as the answer is the longest."""
    length = dict(curve.fixed).get(BLOCK_LENGTH)
    return inf if length is None else float(length)


def _paler(colour: str, share: float) -> str:
    """`share` of what tells a colour from white, and at least a fourth of it."""
    kept = 0.25 + 0.75 * share
    channels = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(255 - kept * (255 - channel)):02X}" for channel in channels)


def legend_handles(summary: Summary, lines: Lines, *, speeds: bool = False) -> list[Line2D]:
    """Legend entries: a line per curve, with its PBx if `speeds`, and a line style per model if there are several."""
    from matplotlib.lines import Line2D

    names = {curve.name for curve, _, _ in lines}
    handles = []
    for curve in summary.curves:
        if curve.name in names:
            colour, marker = style_of(curve, summary.curves)
            label = wrapped(curve.name)
            if speeds:
                reached = summary.tokens_per_step_at.get((summary.models[0], curve.name))
                values = [UNFINISHED if reached is None else number(reached[score]) for score in PB_SCORES]
                label += f"\n{' / '.join(values)}"
            size = 6.0 * MARKER_SCALES.get(marker, 1.0)
            handles.append(Line2D([], [], color=colour, marker=marker, markersize=size, label=label))
    if len(summary.models) > 1:
        for model in dict.fromkeys(model for _, model, _ in lines):
            style = LINE_STYLES[summary.models.index(model) % len(LINE_STYLES)]
            handles.append(Line2D([], [], color="#222222", linestyle=style, label=wrapped(shown_name(model))))
    return handles


def shown_name(model: str) -> str:
    """A model's name without the address of its server, which fits into no plot."""
    name, _, address = model.rpartition("@")
    return name if address.startswith(("http://", "https://")) else model


def wrapped(name: str) -> str:
    """A name in lines that fit into a legend."""
    return "\n".join(textwrap.wrap(name, _LEGEND_WIDTH)) or name


def entry_width(handle: Line2D) -> float:
    """Inches that a legend entry takes: its handle, and about 0.08 for each letter of its name."""
    return 0.65 + 0.08 * max(map(len, str(handle.get_label()).splitlines()))
