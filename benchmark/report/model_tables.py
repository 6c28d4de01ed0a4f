"""The table of models: each at one setting, or at its best one, beside the others on every task."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING

from benchmark.analysis.summary import Point, Summary
from benchmark.protocol.method import Method
from benchmark.report.tables import UNFINISHED, literal, new_table, number

if TYPE_CHECKING:
    from rich.table import Table

_TASKS_ABREAST = 6
# A model with more methods than this has a line for its best one alone.
_MOST_METHODS = 4
_BEST = "*"
_CAPTION = f"Headline in percent, [95 % bootstrap interval]; {_BEST} the best of a task."
_CAPTION_SPEED = (
    "Tokens per second: of a service those of an answer, from its question to its last token; else by its share of the "
    "time of its batch. Compare them at one request, or one row, at a time."
)

#: A line of the table.
Row = tuple[str, Method]


def model_tables(summary: Summary) -> list[Table]:
    """Models by tasks, the best of a task in bold, and a last table with means and speeds.

    There are none but where several models were run, and one of them has no scheduler (`operating_points`): models that
    share their methods stand side by side in a table of their own.
    """
    rows = chosen_rows(summary)
    models = {model for model, _ in rows}
    if len(models) < 2 or not any(method.is_operating_point for _, method in rows):
        return []
    tables = []
    for start in range(0, len(summary.tasks), _TASKS_ABREAST):
        tasks = summary.tasks[start : start + _TASKS_ABREAST]
        columns: dict[str, dict[Row, Point]] = {task: {} for task in tasks}
        for task, (model, method) in product(tasks, rows):
            if (point := summary.points.get((model, task, method))) is not None:
                columns[task][model, method] = point
        tables.append(_table("Models by tasks", rows, columns, _CAPTION))
    means = {row: point for row in rows if (point := summary.means.get(row))}
    table = _table("Models: means and speeds", rows, {f"mean of {len(summary.tasks)}": means}, _CAPTION_SPEED, means)
    return [*tables, table]


def chosen_rows(summary: Summary) -> list[Row]:
    """The lines, in the order of the run: all methods of a model that has few, else the best by its headlines."""
    rows: list[Row] = []
    for model in summary.models:
        headlines: dict[Method, list[float]] = {}
        for (name, _, method), point in summary.points.items():
            if name == model:
                headlines.setdefault(method, []).append(point.headline)
        methods = [method for method in summary.methods if method in headlines]
        if len(methods) > _MOST_METHODS:
            # What was run on more tasks goes before; the first of equals stays.
            best = max(methods, key=lambda method: (len(headlines[method]), sum(headlines[method])))
            methods = [best]
        rows.extend((model, method) for method in methods)
    return rows


def _table(
    title: str,
    rows: list[Row],
    columns: Mapping[str, Mapping[Row, Point]],
    caption: str,
    speeds: Mapping[Row, Point] | None = None,
) -> Table:
    table = new_table(title, caption)
    table.add_column("model, method", overflow="fold")
    for head in columns:
        table.add_column(literal(head), justify="right", overflow="fold")
    if speeds is not None:
        for head in ("tokens/\nstep", "tokens/s", "s to first\ntoken"):
            table.add_column(head, justify="right", no_wrap=True)
    # Where nobody got anything right, nobody is the best.
    best = {
        head: max((point.headline for point in of_row.values()), default=0) or None for head, of_row in columns.items()
    }
    before = None
    for row in rows:
        model, method = row
        if model != before:
            table.add_section()
            table.add_row(f"[bold]{literal(model)}[/bold]")
        before = model
        cells = [_cell(of_row.get(row), best[head]) for head, of_row in columns.items()]
        if speeds is not None:
            point = speeds.get(row)
            values = (
                (None, None, None)
                if point is None
                else (point.tokens_per_step, point.tokens_per_second, point.seconds_to_first_token)
            )
            cells += [number(value, digits) for value, digits in zip(values, (2, 1, 2), strict=True)]
        table.add_row(f"  {literal(str(method))}", *cells)
    return table


def _cell(point: Point | None, best: float | None) -> str:
    """A headline above its interval; the best one is bold, and has a star for where nothing is bold."""
    if point is None:
        return UNFINISHED
    interval = rf"\[{point.low:.0f}, {point.high:.0f}]"
    headline = number(point.headline)
    return f"[bold]{headline}{_BEST}[/bold]\n{interval}" if point.headline == best else f"{headline} \n{interval}"
