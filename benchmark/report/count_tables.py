"""PBx by what a step is taken to give: content tokens, or tokens per forward pass instead of per round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.analysis.summary import PB_COUNTS, PB_SCORES, Summary
from benchmark.report.tables import literal, new_table, number

if TYPE_CHECKING:
    from rich.table import Table

#: What PBx counts beside tokens per step, and how it is named.
COUNT_NAMES = {
    "content_tokens_per_step": "content tokens per step",
    "tokens_per_forward_pass": "tokens per forward pass",
}
#: Why there are two counts, in one sentence.
PADDING = (
    "Tokens per step count every generated position: an answer of 20 tokens in a window of 64 that is done in one step "
    "has 64 tokens per step, 44 of them padding behind its end; content tokens leave the padding out."
)


def count_tables(summary: Summary) -> list[Table]:
    """PBx by content tokens and by forward passes, where they are not what it is by rounds; a row is a curve."""
    tables = []
    for count in differing_counts(summary):
        table = new_table(f"PBx in {COUNT_NAMES[count]}", PADDING if count.startswith("content") else None)
        table.add_column("method", overflow="fold")
        for score in PB_SCORES:
            table.add_column(f"PB{score}", justify="right", no_wrap=True)
        for model in summary.models:
            keys = [key for key in _keys(summary) if key[0] == model and key[2] == count]
            if len(summary.models) > 1 and keys:
                table.add_row(f"[bold]{literal(model)}[/bold]")
            for key in keys:
                indent = "  " if len(summary.models) > 1 else ""
                values = summary.largest_at[key].values()
                table.add_row(indent + literal(key[1]), *(number(value, 2) for value in values))
            table.add_section()
        tables.append(table)
    return tables


def differing_counts(summary: Summary) -> list[str]:
    """Of `COUNT_NAMES`, those by which some PBx is not what it is by tokens per step."""
    return [count for count in COUNT_NAMES if any(count == key[2] and _differs(summary, key) for key in _keys(summary))]


def _keys(summary: Summary) -> list[tuple[str, str, str]]:
    """Of `largest_at`, what has a point with such a number at all."""
    known = {
        (model, summary.curve_of(method).name, count)
        for (model, method), point in summary.means.items()
        for count in PB_COUNTS
        if getattr(point, count) is not None
    }
    return [key for key in summary.largest_at if key in known]


def _differs(summary: Summary, key: tuple[str, str, str]) -> bool:
    return summary.largest_at[key] != summary.largest_at[key[0], key[1], PB_COUNTS[0]]
