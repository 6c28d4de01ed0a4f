"""A comparison of two runs as tables for a terminal, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from benchmark.analysis.comparison import Comparison, Difference, Flip
from benchmark.report.tables import literal, new_table, number

if TYPE_CHECKING:
    from rich.table import Table

FORMAT = 1
_DIGITS = 6
COLUMNS = (
    *("model", "other_model", "task", "method", "other_method", "questions", "seeds", "before", "after", "difference"),
    *("low", "high", "gained", "lost", "p", "verdict"),
)
_CAPTION = (
    "Asked: questions that both runs answered, of which all numbers are. Change: second run minus first, in points, "
    "with the 95 % interval of the paired bootstrap. Gained, lost: answers that went from wrong to right, and back. p: "
    "McNemar's exact test, - where scores are not 0 or 1 or there are several seeds."
)


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """All that a comparison says, as plain JSON objects; headlines are percentages, those of flips 0 to 1."""
    return {
        "format": FORMAT,
        "first": comparison.first.name,
        "second": comparison.second.name,
        "notes": comparison.notes,
        "overall": line(comparison.overall),
        "tasks": [line(found) for found in comparison.tasks],
        "settings": [line(found) for found in comparison.settings],
        "flips": [_flip(found) for found in comparison.flips],
    }


def comparison_csv(comparison: Comparison) -> str:
    """A line for each setting."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(line(found) for found in comparison.settings)
    return buffer.getvalue()


def line(found: Difference) -> dict[str, Any]:
    """A difference by the names of `COLUMNS`."""
    values = {name: getattr(found, name) for name in COLUMNS}
    for name, value in values.items():
        if isinstance(value, float):
            values[name] = value if name == "p" else round(value, _DIGITS)
    for name in ("method", "other_method"):
        values[name] = None if values[name] is None else str(values[name])
    return values


def _flip(found: Flip) -> dict[str, Any]:
    model, task, method = found.pair.before
    sides = {
        name: {
            "headline": answer["scores"]["headline"],
            "prediction": answer["prediction"],
            "tokens_per_step": answer["tokens_per_step"],
            "commit_steps": answer.get("commit_steps"),
            "tokens": answer.get("tokens"),
        }
        for name, answer in (("before", found.before), ("after", found.after))
    }
    return {"model": model, "task": task, "method": str(method), "id": found.question, "seed": found.seed, **sides}


def comparison_tables(comparison: Comparison) -> list[Table]:
    """Tasks, then settings."""
    tasks = new_table("Tasks, mean over the methods that both runs have")
    settings = new_table("Settings", _CAPTION)
    several = len({found.model for found in comparison.settings}) > 1
    for table, rows in ((tasks, [*comparison.tasks, comparison.overall]), (settings, comparison.settings)):
        if several:
            table.add_column("model")
        table.add_column("task", overflow="fold")
        if table is settings:
            table.add_column("method", overflow="fold")
        for head in ("asked", "before", "after", "change", "interval", "gained", "lost"):
            table.add_column(head, justify="right", no_wrap=True)
        if table is settings:
            table.add_column("p", justify="right", no_wrap=True)
        table.add_column("")
        for found in rows:
            names = [found.model or "all models"] if several else []
            names.append(found.task or "all tasks")
            if table is settings:
                names.append(method_name(found))
            cells = [str(found.questions), number(found.before), number(found.after), f"{found.difference:+.1f}"]
            cells += [f"{found.low:+.1f} … {found.high:+.1f}", str(found.gained), str(found.lost)]
            if table is settings:
                cells.append("-" if found.p is None else f"{found.p:.3f}" if found.p >= 0.001 else "<0.001")
            table.add_row(*map(literal, names), *cells, "" if found.verdict == "same" else found.verdict)
    return [tasks, settings]


def method_name(found: Difference) -> str:
    """The method, or both where they are not the same."""
    same = found.method == found.other_method
    return str(found.method) if same else f"{found.method} → {found.other_method}"
