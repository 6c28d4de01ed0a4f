"""The tables of a report, for a terminal or a file: every method on every task, and one line per method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from benchmark.analysis.curves import Curve
from benchmark.analysis.summary import PB_COUNTS, PB_SCORES, Point, Summary
from benchmark.protocol.method import Method

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
    """`value` with a fixed number of digits, or a dash for None and NaN."""
    return ABSENT if value is None or value != value else f"{value:z.{digits}f}"


def value_name(value: float | None, *, adaptive: bool) -> str:
    """Value of a curve's parameter: a count of tokens or steps without, any other number with its decimals."""
    return ABSENT if value is None else str(value) if adaptive else f"{value:g}"


def new_table(title: str, caption: str | None = None) -> Table:
    """A table without columns and rows, in the style of all."""
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


def literal(content: str) -> str:
    """What rich shows as `content`, markup and all."""
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
        drafts = any(point.num_rounds < point.num_forward_passes for one in found.values() for point in one.values())
        caption = f"In percent, [95 % bootstrap interval]; the headline is {meaning}."
        several = any(point.seeds > 1 for points in found.values() for point in points.values())
        if several:
            caption += " With several seeds it is one over questions and seeds; ± is the standard deviation of seeds."
        if drafts:
            caption += (
                " NFE counts every state of an answer that went through the model, a round all that did so at once."
            )
        seeds = ("± of\nseeds",) if several else ()
        speeds = ("tokens/\nround", "rounds", "NFE") if drafts else ("tokens/\nstep", "NFE")
        content = any(point.content_tokens_per_step is not None for one in found.values() for point in one.values())
        ordered = any(point.order is not None for one in found.values() for point in one.values())
        if content:
            caption += " Content counts, per step, the tokens before an answer's first end token."
        if ordered:
            caption += " tau and rho: 1 where answers are committed from left to right, -1 from right to left."
        more = [*(["con-\ntent"] if content else []), *(["tau", "rho"] if ordered else [])]
        table = new_table(literal(f"{model}: every task and method"), caption)
        table.add_column("task, method", overflow="fold")
        for head in ("head-\nline", "95 % interval", *seeds, "strict", *speeds, *more, "n"):
            table.add_column(head, justify="right", no_wrap=True)
        for task, points in found.items():
            table.add_row(f"[bold]{literal(task)}[/bold]")
            for method, point in points.items():
                table.add_row(
                    f"  {literal(str(method))}",
                    number(point.headline),
                    rf"\[{point.low:.1f}, {point.high:.1f}]",
                    *((number(point.seed_deviation),) if several else ()),
                    number(point.score_strict),
                    number(point.tokens_per_step, 2),
                    *([number(point.num_rounds)] if drafts else []),
                    number(point.num_forward_passes),
                    *([number(point.content_tokens_per_step, 2)] if content else []),
                    *(_order_cells(point) if ordered else []),
                    str(point.samples),
                )
            table.add_section()
        tables.append(table)
    return tables


def _order_cells(point: Point) -> list[str]:
    """Kendall's tau and Spearman's rho over the answer, without what follows its end."""
    order = point.order
    return [ABSENT, ABSENT] if order is None else [number(order.kendall_answer, 2), number(order.spearman_answer, 2)]


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
        table = new_table(literal(f"{model}: scores of text"), "Means in percent; of BLEU, less is better.")
        table.add_column("task, method", overflow="fold")
        for name in names:
            table.add_column(_TEXT_SCORES[name], justify="right", no_wrap=True)
        for task, found in of_text.items():
            table.add_row(f"[bold]{literal(task)}[/bold]")
            for method, point in found.items():
                table.add_row(f"  {literal(str(method))}", *(number(point.scores.get(name)) for name in names))
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
        table = new_table(title, caption)
        table.add_column("task, method", overflow="fold")
        for model in models:
            table.add_column(literal(model), justify="right", overflow="fold")
        rows = 0
        for task in summary.tasks:
            found = {
                method: [m for m in summary.models if (m, task, method) in summary.points] for method in summary.methods
            }
            shared = [method for method, having in found.items() if len(having) > 1]
            if shared:
                table.add_row(f"[bold]{literal(task)}[/bold]")
            for method in shared:
                adaptive = summary.curve_of(method).adaptive
                points = [summary.points.get((model, task, method)) for model in models]
                cells = [_headline_at_speed(point, adaptive=adaptive, aligned=aligned) for point in points]
                table.add_row(f"  {literal(str(method))}", *cells)
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
    A row is a curve, with the interval of its PBx below; with several models, a section is a model. Below the
    headlines of a method that chooses its speed itself stand the tokens per step that it came to.
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


_ONE_ORDER = (
    "Greedy settings of random share their noise: one order for each seed, question and block, whatever k is, so what "
    "separates them is not the luck of the order."
)


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
    in_one_order = [method for method in summary.methods if method.name == "random" and _is_greedy(method, summary)]
    if len(in_one_order) > 1:
        lines.append(_ONE_ORDER)
    for name, signatures in summary.signatures.items():
        lines.append(f"{name}: {'; '.join(signatures)}")
        if len(signatures) > 1:
            lines.append(f"Not all methods have {name} from the same source: these numbers cannot be compared.")
    return lines


def _is_greedy(method: Method, summary: Summary) -> bool:
    """Whether a model takes the likeliest tokens under it; the ideal model draws them where nothing is said."""
    temperature = method.parameters.get("temperature", summary.settings.get("temperature"))
    drawing = all(name.partition(":")[0] == "ideal" for name in summary.models)
    return temperature == 0 or (temperature is None and not drawing)


def _mean_table(summary: Summary, curves: list[Curve], parameter: str | None, values: list[float | None]) -> Table:
    title = f"Mean headline over {_counted(len(summary.tasks), 'task')}, by {parameter or 'method'}"
    table = new_table(title, "Below PBx stand the ends of its 95 % bootstrap interval; 0 is never reached.")
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
        rows = [row for curve in curves for row in _curve_rows(summary, model, curve, values)]
        if len(summary.models) > 1 and rows:
            table.add_row(f"[bold]{literal(model)}[/bold]")
        for row in rows:
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
    name = indent + literal(curve.name)
    yield [name, *bounds, *(cell(value, text) for value, text in zip(values, headlines, strict=True))]
    ends = summary.pb_intervals.get((model, curve.name, PB_COUNTS[0]))
    if ends is not None:
        yield [f"{indent}  interval", *(_span(*ends[score]) for score in PB_SCORES), *("" for _ in values)]
    if curve.adaptive:
        cells = [cell(value, text) for value, text in zip(values, speeds, strict=True)]
        yield [f"{indent}  tokens/step", *("" for _ in PB_SCORES), *cells]


def _span(low: float | None, high: float | None) -> str:
    return "–".join("0" if end is None else number(end) for end in (low, high))


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
    table = new_table(title)
    table.add_column("task", overflow="fold")
    for name in names:
        table.add_column(literal(name), justify="right", overflow="fold")
    unknown = ABSENT if missing_line(summary) is None else UNFINISHED
    for model in summary.models:
        tasks = [task for task in summary.tasks if any((model, task, name) in values for name in names)]
        if len(summary.models) > 1 and tasks:
            table.add_row(f"[bold]{literal(model)}[/bold]")
        for task in tasks:
            keys = [(model, task, name) for name in names]
            cells = [number(values[key], digits) if key in values else unknown for key in keys]
            table.add_row(literal(task), *cells)
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
