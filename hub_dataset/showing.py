"""Shows rows of a config in a terminal: in colour where someone watches, as plain text in a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .rows import Row

if TYPE_CHECKING:
    from rich.console import Console

# Width of the column that says who speaks.
MARGIN = 11


def row_parts(row: Row) -> Iterator[tuple[str, str]]:
    """What is shown of a row as (label, text) pairs: its messages, the answer, and the form for infilling."""
    for message in row["messages"]:
        yield message["role"], message["content"]
    yield "answer", row["answer"]
    if row["output_format"]:
        yield "form", row["output_format"]
    yield "reference", row["reference"]


def row_title(row: Row) -> str:
    """The line above a row: its id, its length and how many tokens the protocol generates."""
    return f"{row['id']}  length {row['length']}, {row['max_new_tokens']} new tokens"


def plain_text(row: Row) -> str:
    """A row as text without colour and without a width; further lines of a part stand under its first."""
    lines = [row_title(row)]
    for label, text in row_parts(row):
        first, *others = text.split("\n")
        lines.append(f"  {label:{MARGIN}}{first}".rstrip())
        lines += [f"  {'':{MARGIN}}{other}".rstrip() for other in others]
    return "\n".join(lines)


def print_rows(rows: Sequence[Row], console: Console) -> None:
    """Prints rows to a rich console, wrapped to its width."""
    from rich.table import Table
    from rich.text import Text

    styles = {"user": "cyan", "assistant": "green", "answer": "bold green"}
    for row in rows:
        console.print(Text(row_title(row), style="bold"))
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=MARGIN, style="dim")
        table.add_column(overflow="fold")
        for label, text in row_parts(row):
            table.add_row(f"  {label}", Text(text, style=styles.get(label, "dim")))
        console.print(table)
        console.print()
