"""The data command line: lists the tasks, builds the dataset, checks it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

OUTPUT = Path("build") / "parallelbench"
METRIC = Path(__file__).resolve().parent / "metrics" / "parallelbench"


class InputError(click.ClickException):
    """Something the user gave is wrong: one line, exit code 2."""

    exit_code = 2


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise InputError(" ".join(str(error).split())) from None
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from None


@contextmanager
def _progress(label: str, length: int) -> Iterator[Callable[[], None]]:
    # Only for someone who watches: a log or a pipe gets results and errors alone.
    if not sys.stderr.isatty():
        yield lambda: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr, show_pos=True) as bar:
        yield lambda: bar.update(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Make the ParallelBench dataset.

    \b
    Example: build all tasks and load one of them
      python generate_tasks.py build
      python -c "import datasets; print(datasets.load_dataset('build/parallelbench', 'waiting_line_copy'))"
    """


def _selected(arguments: tuple[str, ...], options: tuple[str, ...]) -> list[str]:
    from hub_dataset import config_names, task_info

    return list(dict.fromkeys(task_info(name).name for name in (*arguments, *options))) or config_names()


@main.command("list")
def list_tasks() -> None:
    """Show all tasks with their sizes and scorers."""
    from hub_dataset import config_names, task_info

    with _one_line_errors():
        tasks = [task_info(name) for name in config_names()]
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


@main.command()
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
@click.option(
    "--task", "options", multiple=True, metavar="TASK", help="A task to build, like the arguments; repeatable."
)
@click.option(
    "--split",
    "splits",
    multiple=True,
    type=click.Choice(["test", "train", "validation"]),
    default=["test"],
    show_default=True,
    help="A split to build; repeatable.",
)
@click.option(
    "--rows", type=click.IntRange(min=1), help="Rows of train and validation per task; test has a fixed number."
)
@click.option(
    "--output", type=click.Path(path_type=Path), default=OUTPUT, show_default=True, help="Directory to write."
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["jsonl", "parquet"]),
    default="jsonl",
    show_default=True,
    help="File format of the rows.",
)
def build(
    tasks: tuple[str, ...],
    options: tuple[str, ...],
    splits: tuple[str, ...],
    rows: int | None,
    output: Path,
    file_format: str,
) -> None:
    """Build tasks (all of them by default) into a directory that load_dataset reads.

    The directory is replaced as a whole once everything is written; an interrupted build leaves it as it was.
    `waiting_line/copy` means `waiting_line_copy`.

    \b
    Examples:
      python generate_tasks.py build
      python generate_tasks.py build waiting_line/copy puzzle_sudoku_n4_12 --format parquet
      python generate_tasks.py build --split test --split train --rows 20000 --output data/parallelbench
    """
    if rows is not None and set(splits) == {"test"}:
        raise InputError(f"--rows {rows} has no effect on test, whose rows are fixed; add --split train or validation")
    with _one_line_errors():
        from hub_dataset.writing import build_dataset

        names = _selected(tasks, options)
        files = len(names) * len(set(splits))
        with _progress("building", files) as advance:
            count = build_dataset(
                output,
                names,
                splits=splits,
                rows=rows,
                file_format=file_format,
                on_file=lambda config, split, built: advance(),
            )
    click.echo(f"{output}: {count} rows, {len(names)} tasks, {', '.join(dict.fromkeys(splits))}")


@main.command()
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
@click.option(
    "--task", "options", multiple=True, metavar="TASK", help="A task to check, like the arguments; repeatable."
)
@click.option("--update", is_flag=True, help="First record the checksums of all tasks as they are built now.")
def check(tasks: tuple[str, ...], options: tuple[str, ...], update: bool) -> None:
    """Rebuild tasks (all of them by default) and check what must hold for their rows.

    Checksums, schema, ids, no question twice, no question of test in train or validation, and every answer scores 100
    against its own reference. Exits with 1 where something is wrong, and says what.

    \b
    Examples:
      python generate_tasks.py check
      python generate_tasks.py check waiting_line_shuffle
    """
    with _one_line_errors():
        from hub_dataset.checks import load_scorer, problems_of_config, read_checksums, write_checksums

        names = _selected(tasks, options)
        if update:
            write_checksums()
        recorded = read_checksums()
        score = load_scorer(METRIC)
        problems: list[str] = []
        with _progress("checking", len(names)) as advance:
            for name in names:
                problems += problems_of_config(name, recorded, score)
                advance()
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        click.echo(f"{len(problems)} problems in {len(names)} tasks", err=True)
        sys.exit(1)
    click.echo(f"{len(names)} tasks are sound: checksums, schema, distinct questions, splits apart, answers score 100")


if __name__ == "__main__":
    main()
