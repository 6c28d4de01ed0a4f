"""The command `build`."""

from __future__ import annotations

from pathlib import Path

import click

from .shared import InputError, config_option, progress, refuse_idle_rows, rows_option, selected_tasks, splits_option

OUTPUT = Path("build") / "parallelbench"


@click.command()
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
@click.option(
    "--task", "options", multiple=True, metavar="TASK", help="A task to build, like the arguments; repeatable."
)
@splits_option
@rows_option
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    show_default=f"{OUTPUT}, with --config build/ and the name of its file",
    help="Directory to write.",
)
@config_option
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["jsonl", "parquet", "sft"]),
    default="jsonl",
    show_default=True,
    help="File format of the rows; sft: conversations with their answers, as TRL's SFTTrainer reads them.",
)
@click.option(
    "--names",
    type=click.Choice(["listed", "generated"]),
    default="listed",
    show_default=True,
    help="Names of people in train and validation: from the lists, or made up without end.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that share the tasks."
)
def build(
    tasks: tuple[str, ...],
    options: tuple[str, ...],
    splits: tuple[str, ...],
    rows: int | None,
    output: Path | None,
    config: Path | None,
    file_format: str,
    names: str,
    workers: int,
) -> None:
    """Build tasks (all of them by default) into a directory that load_dataset reads.

    The directory is replaced as a whole once everything is written; an interrupted build leaves it as it was.
    `waiting_line/copy` means `waiting_line_copy`.

    \b
    Examples:
      python generate_tasks.py build
      python generate_tasks.py build waiting_line/copy puzzle_sudoku_n4_12 --format parquet
      python generate_tasks.py build --split test --split train --rows 20000 --output data/parallelbench
      python generate_tasks.py build --config my_tasks.yaml
      python generate_tasks.py build --format sft --rows 20000 --names generated --workers 4 --output build/sft
    """
    splits = splits or (("train",) if file_format == "sft" else ("test",))
    refuse_idle_rows(rows, splits)
    from ..writing import build_dataset

    selected = selected_tasks(tasks, options, config)
    if names == "generated" and not any(task.items == "people" for task in selected):
        raise InputError("--names generated has no effect on these tasks: none of them is about people")
    if names == "generated" and set(splits) == {"test"}:
        raise InputError("--names generated has no effect on test, whose names are fixed; add --split train")
    output = output or (OUTPUT if config is None else OUTPUT.with_name(config.stem))
    if rows is not None and not (tasks or options):
        made = [(task, split) for task in selected for split in set(splits) if split in task.splits]
        count = sum(task.rows if split == "test" else rows for task, split in made)
        click.echo(f"no task is named: all {len({task for task, _ in made})} are built, {count:,} rows", err=True)
    files = len(selected) * len(set(splits))
    built: set[str] = set()
    left_out: list[str] = []
    with progress("building", files) as advance:

        def count_file(config: str, split: str, rows: int) -> None:
            built.add(config)
            advance()

        count = build_dataset(
            output,
            selected,
            splits=splits,
            rows=rows,
            names=names,
            file_format=file_format,
            workers=workers,
            on_file=count_file,
            on_skip=left_out.append,
        )
    for message in left_out:
        click.echo(message, err=True)
    click.echo(f"{output}: {count} rows, {len(built)} tasks, {', '.join(dict.fromkeys(splits))}")
