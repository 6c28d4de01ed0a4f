"""The tables of a report, for a terminal or a file: every method on every task, and one line per method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from benchmark.analysis.curves import Curve
from benchmark.analysis.summary import PB_SCORES, Point, Summary

if TYPE_CHECKING:
    from rich.table import Table

ABSENT = "-"
UNFINISHED = "?"

# More columns of values than this do not fit beside the names at 100 characters.
_VALUES_ABREAST = 8
_METHODS_ABREAST = 7
_MODELS_ABREAST = 4

# Scores of text in the order of their columns, with the heads of these; two lines where one would be wide.
_TEXT_SCORES = {
    "score": "score",
    "grammar": "gram-\nmar",
    "parses": "par-\nses",
    "inclusion": "words\nin it",
    "rouge_l": "ROUGE\n-L",
    "bleu": "BLEU",
    "bertscore": "BERT",
}

_EXPLANATION = (
    f"PBx is the largest tokens per step with a mean headline over the tasks of at least x percent; "
    f"{ABSENT} never reached, {UNFINISHED} not all is there."
)


def number(value: float | None, digits: int = 1) -> str:
    """`value` with a fixed number of digits, or a dash for None."""
    return ABSENT if value is None else f"{value:.{digits}f}"


def value_name(value: float | None, *, adaptive: bool) -> str:
    """Value of a curve's parameter: a count of tokens or steps without, any other number with its decimals."""
    return ABSENT if value is None else str(value) if adaptive else f"{value:g}"


def _table(title: str, caption: str | None = None) -> Table:
    from rich import box
    from rich.table import Table

    # No colours: what is told apart must be so in a file, too.
    return Table(
        title=title,
        caption=caption,
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        caption_style="",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )


def _text(content: str) -> str:
    from rich.markup import escape

    # `escape` leaves a backslash at the end alone, which would then escape what follows.
    return escape(content) + ("\\" if content.endswith("\\") else "")


def task_tables(summary: Summary) -> list[Table]:
    """One table per model: a row for each method under each task, tasks and methods in the order of the run."""
    tables = []
    for model in summary.models:
        found = {task: points for task in summary.tasks if (points := summary.present(model, task))}
        if not found:
            continue
        of_text = any(point.is_of_text for points in found.values() for point in points.values())
        meaning = "the grammar of text, else the lenient score" if of_text else "the lenient score"
        caption = f"In percent, [95 % bootstrap interval]; the headline is {meaning}."
        table = _table(_text(f"{model}: every task and method"), caption)
        table.add_column("task, method", overflow="fold")
        for head in ("head-\nline", "95 % interval", "strict", "tokens/\nstep", "NFE", "n"):
            table.add_column(head, justify="right", no_wrap=True)
        for task, points in found.items():
            table.add_row(f"[bold]{_text(task)}[/bold]")
            for method, point in points.items():
                table.add_row(
                    f"  {_text(str(method))}",
                    number(point.headline),
                    rf"\[{point.low:.1f}, {point.high:.1f}]",
                    number(point.score_strict),
                    number(point.tokens_per_step, 2),
                    number(point.num_forward_passes),
                    str(point.samples),
                )
            table.add_section()
        tables.append(table)
    return tables


def text_tables(summary: Summary) -> list[Table]:
    """What the metric says of text beside its grammar, one table per model; there is none without a task of text."""
    tables = []
    for model in summary.models:
        points = {task: found for task in summary.tasks if (found := summary.present(model, task))}
        of_text = {task: found for task, found in points.items() if all(point.is_of_text for point in found.values())}
        if not of_text:
            continue
        given = {name for found in of_text.values() for point in found.values() for name in point.scores}
        names = [name for name in _TEXT_SCORES if name in given]
        table = _table(_text(f"{model}: scores of text"), "Means in percent; of BLEU, less is better.")
        table.add_column("task, method", overflow="fold")
        for name in names:
            table.add_column(_TEXT_SCORES[name], justify="right", no_wrap=True)
        for task, found in of_text.items():
            table.add_row(f"[bold]{_text(task)}[/bold]")
            for method, point in found.items():
                table.add_row(f"  {_text(str(method))}", *(number(point.scores.get(name)) for name in names))
            table.add_section()
        tables.append(table)
    return tables


def comparison_tables(summary: Summary) -> list[Table]:
    """Models side by side, a row for each method under each task; there are none of a single model.

    Only tasks and methods that several models have are in it. A cell is the headline, and the tokens per step where the
    method chooses them itself.
    """
    tables = []
    aligned = any(curve.adaptive for curve in summary.curves)
    for start in range(0, len(summary.models), _MODELS_ABREAST):
        models = summary.models[start : start + _MODELS_ABREAST]
        title, caption = "Headline of every model", "In percent; of methods that choose their speed, @ tokens/step."
        table = _table(title, caption)
        table.add_column("task, method", overflow="fold")
        for model in models:
            table.add_column(_text(model), justify="right", overflow="fold")
        rows = 0
        for task in summary.tasks:
            found = {
                method: [m for m in summary.models if (m, task, method) in summary.points] for method in summary.methods
            }
            shared = [method for method, having in found.items() if len(having) > 1]
            if shared:
                table.add_row(f"[bold]{_text(task)}[/bold]")
            for method in shared:
                adaptive = summary.curve_of(method).adaptive
                points = [summary.points.get((model, task, method)) for model in models]
                cells = [_headline_at_speed(point, adaptive=adaptive, aligned=aligned) for point in points]
                table.add_row(f"  {_text(str(method))}", *cells)
            table.add_section()
            rows += len(shared)
        if rows:
            tables.append(table)
    return tables


def _headline_at_speed(point: Point | None, *, adaptive: bool, aligned: bool) -> str:
    if point is not None and adaptive:
        return f"{number(point.headline)} @{point.tokens_per_step:5.2f}"
    headline = UNFINISHED if point is None else number(point.headline)
    # Room for the speed that others have, so that all headlines stand below each other.
    return f"{headline}{' ' * 7 if aligned else ''}"


def mean_tables(summary: Summary) -> list[Table]:
    """PBx and the mean headline over the tasks at each value of a parameter of speed, a table for each parameter.

    There are none while no method has been run on every task.
    A row is a curve; with several models, a section is a model. Below the headlines of a method that chooses its speed
    itself stand the tokens per step that it came to.
    """
    if not summary.means:
        return []
    tables = []
    for parameter in dict.fromkeys(curve.parameter for curve in summary.curves):
        curves = [curve for curve in summary.curves if curve.parameter == parameter]
        values = sorted(
            {curve.value(method) for curve in curves for method in summary.on_every_task(curve)},
            key=lambda value: value or 0.0,
        )
        for start in range(0, len(values), _VALUES_ABREAST):
            tables.append(_mean_table(summary, curves, parameter, values[start : start + _VALUES_ABREAST]))
    return tables


def notes(summary: Summary) -> list[str]:
    """What stands below the tables, a line each.

    What models could do in part only, the oracle, what PBx means, and what scores of text come from.
    """
    lines = list(summary.notices)
    for (model, name), best in summary.mean_oracles.items():
        method = f"{name}, {model}" if len(summary.models) > 1 else name
        reached = f"{best.headline:.1f} at {best.tokens_per_step:.2f} tokens/step"
        lines.append(f"Oracle ({method}; for each sample the fastest of its best thresholds): {reached}.")
    if summary.means:
        lines.append(_EXPLANATION)
    for name, signatures in summary.signatures.items():
        lines.append(f"{name}: {'; '.join(signatures)}")
        if len(signatures) > 1:
            lines.append(f"Not all methods have {name} from the same source: these numbers cannot be compared.")
    return lines


def _mean_table(summary: Summary, curves: list[Curve], parameter: str | None, values: list[float | None]) -> Table:
    table = _table(f"Mean headline over {_counted(len(summary.tasks), 'task')}, by {parameter or 'method'}")
    table.add_column("method", overflow="fold")
    for score in PB_SCORES:
        table.add_column(f"PB{score}", justify="right", no_wrap=True)
    adaptive = any(curve.adaptive for curve in curves)
    for value in values:
        # The title names the parameter; only a short name fits over each column as well.
        name = value_name(value, adaptive=adaptive)
        head = f"k={name}" if parameter == "k" else name
        table.add_column("headline" if parameter is None else head, justify="right", no_wrap=True)
    for model in summary.models:
        if len(summary.models) > 1:
            table.add_row(f"[bold]{_text(model)}[/bold]")
        for curve in curves:
            for row in _curve_rows(summary, model, curve, values):
                table.add_row(*row)
        table.add_section()
    return table


def _curve_rows(summary: Summary, model: str, curve: Curve, values: list[float | None]) -> Iterator[list[str]]:
    methods = {curve.value(method): method for method in summary.on_every_task(curve, model)}
    if not methods:
        return
    reached = summary.tokens_per_step_at.get((model, curve.name))
    bounds = [UNFINISHED if reached is None else number(reached[score], 2) for score in PB_SCORES]
    points = [summary.means.get((model, methods[value])) if value in methods else None for value in values]

    def cell(value: float | None, text: str | None) -> str:
        return text if text is not None else UNFINISHED if value in methods else ABSENT

    headlines = [None if point is None else number(point.headline) for point in points]
    speeds = [None if point is None else number(point.tokens_per_step, 2) for point in points]
    indent = "  " if len(summary.models) > 1 else ""
    name = indent + _text(curve.name)
    yield [name, *bounds, *(cell(value, text) for value, text in zip(values, headlines, strict=True))]
    if curve.adaptive:
        cells = [cell(value, text) for value, text in zip(values, speeds, strict=True)]
        yield [f"{indent}  tokens/step", *("" for _ in PB_SCORES), *cells]


def task_statistics_tables(summary: Summary) -> list[Table]:
    """Parallelizability and order preference of each task, a column per curve; only tables that have a number."""
    tables = []
    for title, values, digits in (
        ("Parallelizability: tokens per step, weighted by headline", summary.parallelizability, 1),
        ("Order preference: points of headline per token of block length, at k=2", summary.order_preference, 2),
    ):
        names = list(dict.fromkeys(name for _, _, name in values))
        for start in range(0, len(names), _METHODS_ABREAST):
            tables.append(_statistics_table(summary, title, values, names[start : start + _METHODS_ABREAST], digits))
    return tables


def _statistics_table(
    summary: Summary, title: str, values: Mapping[tuple[str, str, str], float | None], names: list[str], digits: int
) -> Table:
    table = _table(title)
    table.add_column("task", overflow="fold")
    for name in names:
        table.add_column(_text(name), justify="right", overflow="fold")
    unknown = ABSENT if missing_line(summary) is None else UNFINISHED
    for model in summary.models:
        tasks = [task for task in summary.tasks if any((model, task, name) in values for name in names)]
        if len(summary.models) > 1 and tasks:
            table.add_row(f"[bold]{_text(model)}[/bold]")
        for task in tasks:
            keys = [(model, task, name) for name in names]
            cells = [number(values[key], digits) if key in values else unknown for key in keys]
            table.add_row(_text(task), *cells)
        table.add_section()
    return table


def missing_line(summary: Summary) -> str | None:
    """One line that says of how many (model, task, method) samples are missing, or None when all are there."""
    if (missing := len(summary.keys) - len(summary.points)) == 0:
        return None
    runs = "the runs are" if "runs" in summary.settings else "the run is"
    return f"{missing} of {_counted(len(summary.keys), 'setting')} missing: {runs} not finished."


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
