"""The commands that show what there is: `list` and `show`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .shared import config_option, selected_tasks


@click.command("list")
@config_option
def list_tasks(config: Path | None) -> None:
    """Show all tasks with their sizes and scorers."""
    tasks = selected_tasks(config=config)
    header = ("TASK", "CATEGORY", "ROWS", "LENGTH", "TOKENS", "SCORER", "WHAT TO DO")
    lines = [header]
    for task in tasks:
        length = str(task.min_length)
        if task.max_length > task.min_length:
            length += f"-{task.max_length}"
        numbers = (str(task.rows), length, str(task.max_new_tokens))
        lines.append((task.name, task.category, *numbers, task.scorer, task.description))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


@click.command()
@click.argument("task")
@click.option("--rows", type=click.IntRange(min=1), default=3, show_default=True, help="How many rows.")
@click.option(
    "--split",
    type=click.Choice(["test", "train", "validation"]),
    default="test",
    show_default=True,
    help="Which split.",
)
@config_option
def show(task: str, rows: int, split: str, config: Path | None) -> None:
    """Show the first rows of a task: the chat, the answer, and how it is scored.

    \b
    Examples:
      python generate_tasks.py show waiting_line_shuffle
      python generate_tasks.py show puzzle_sudoku_n4_12 --rows 1 --split train
    """
    from ..rows import build_rows
    from ..showing import plain_text, print_rows

    shown = build_rows(selected_tasks((task,), (), config)[0], split, rows)
    if not sys.stdout.isatty():
        click.echo("\n\n".join(plain_text(row) for row in shown))
        return
    from rich.console import Console

    print_rows(shown, Console())
