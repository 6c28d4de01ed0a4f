"""The data command line: lists the tasks, builds the dataset, checks it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hub_dataset import TaskConfig

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


def _selected(
    arguments: tuple[str, ...] = (), options: tuple[str, ...] = (), config: Path | None = None
) -> list[TaskConfig]:
    from hub_dataset import config_names, task_info

    names = [*arguments, *options]
    if config is not None:
        from hub_dataset.custom import read_custom_tasks, select_tasks

        return select_tasks(read_custom_tasks(config), config, names)
    return list({task_info(name).name: task_info(name) for name in names or config_names()}.values())


_config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A YAML file with tasks of your own, which are then meant in place of the benchmark's.",
)


@main.command("list")
@_config_option
def list_tasks(config: Path | None) -> None:
    """Show all tasks with their sizes and scorers."""
    with _one_line_errors():
        tasks = _selected(config=config)
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
    show_default="test, with --format sft train",
    help="A split to build; repeatable.",
)
@click.option(
    "--rows", type=click.IntRange(min=1), help="Rows of train and validation per task; test has a fixed number."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    show_default=f"{OUTPUT}, with --config build/ and the name of its file",
    help="Directory to write.",
)
@_config_option
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
    if rows is not None and set(splits) == {"test"}:
        raise InputError(f"--rows {rows} has no effect on test, whose rows are fixed; add --split train or validation")
    with _one_line_errors():
        from hub_dataset.writing import build_dataset

        selected = _selected(tasks, options, config)
        if names == "generated" and not any(task.items == "people" for task in selected):
            raise InputError("--names generated has no effect on these tasks: none of them is about people")
        if names == "generated" and set(splits) == {"test"}:
            raise InputError("--names generated has no effect on test, whose names are fixed; add --split train")
        output = output or (OUTPUT if config is None else OUTPUT.with_name(config.stem))
        files = len(selected) * len(set(splits))
        built: set[str] = set()
        left_out: list[str] = []
        with _progress("building", files) as advance:

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


@main.command()
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
@click.option(
    "--task", "options", multiple=True, metavar="TASK", help="A task to check, like the arguments; repeatable."
)
@_config_option
@click.option("--update", is_flag=True, help="First record the checksums of all tasks as they are built now.")
def check(tasks: tuple[str, ...], options: tuple[str, ...], config: Path | None, update: bool) -> None:
    """Rebuild tasks (all of them by default) and check what must hold for their rows.

    Checksums, schema, ids, no question twice, no question of test in train or validation, and every answer scores 100
    against its own reference; answers of open text tasks must differ from the text and be grammatical. Exits with 1
    where something is wrong, and says what. Says, too, what cannot be built or checked here, for want of a network or a
    LanguageTool server.

    \b
    Examples:
      python generate_tasks.py check
      python generate_tasks.py check waiting_line_shuffle
      python generate_tasks.py check --config my_tasks.yaml
    """
    if update and config is not None:
        raise InputError(f"--update records the benchmark's own tasks, not those of {config}; leave out one of the two")
    with _one_line_errors():
        from hub_dataset.checks import load_scorer, problems_of_config, read_checksums, write_checksums
        from hub_dataset.grammar import grammar_checker
        from hub_dataset.unavailable import UnavailableError

        names = _selected(tasks, options, config)
        if update:
            write_checksums()
        recorded = read_checksums() if config is None else None
        # The metric takes seconds to load: only where there is something to score.
        exact = any(not task.task_type.open_ended for task in names)
        score = load_scorer(METRIC) if exact else None
        problems: list[str] = []
        left_out: list[str] = []
        unbuilt: list[str] = []
        grammar = None
        if any(task.task_type.is_text for task in names):
            try:
                grammar = grammar_checker()
            except UnavailableError as error:
                left_out.append(f"the grammar of answers is not checked: {error}")
        with _progress("checking", len(names)) as advance:
            for task in names:
                try:
                    problems += problems_of_config(task, recorded, score, grammar)
                except UnavailableError as error:
                    unbuilt.append(f"{task.name} is left out: {error}")
                else:
                    if task.from_hub and recorded is not None and task.name not in recorded:
                        left_out.append(f"{task.name} is not compared: no checksum is recorded; --update records it")
                advance()
    for message in (*left_out, *unbuilt):
        click.echo(message, err=True)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        click.echo(f"{len(problems)} problems in {len(names)} tasks", err=True)
        sys.exit(1)
    count = len(names) - len(unbuilt)
    checked = "" if config is not None else "checksums, "
    click.echo(f"{count} tasks are sound: {checked}schema, distinct questions, splits apart, answers right")


@main.command("import")
@click.argument("source")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Directory to write.")
@click.option("--skip-unknown", is_flag=True, help="Leave out rows of an unknown form, and say which.")
def import_data(source: str, output: Path, skip_unknown: bool) -> None:
    """Turn the original ParallelBench data into a directory that load_dataset reads.

    SOURCE is a checkout of the original project, a folder of its rows as JSON lines, or a set on the Hub (`owner/name`,
    with `@revision` if wanted). Configs are called `original_<group>_<task>`, those of the later edition
    `original2026_<group>_<task>`. Rows of an unknown form are reported with file and line, and nothing is written.

    \b
    Examples:
      python generate_tasks.py import ../ParallelBench --output build/original
      python generate_tasks.py import furiosa-ai/ParallelBench --output build/original2026
    """
    with _one_line_errors():
        from hub_dataset.checks import load_scorer
        from hub_dataset.importing import MOST_NAMED, UnknownRowsError, import_original

        problems: list[str] = []
        try:
            # The metric takes seconds to load: only where there is something to score.
            load = cache(lambda: load_scorer(METRIC))
            imported = import_original(
                source, output, score=lambda *columns: load()(*columns), skip_unknown=skip_unknown
            )
            problems = imported.skipped
        except UnknownRowsError as error:
            problems = error.problems
            raise ValueError(f"{error}; --skip-unknown leaves them out") from None
        finally:
            for problem in problems[:MOST_NAMED]:
                click.echo(problem, err=True)
            if len(problems) > MOST_NAMED:
                click.echo(f"... and {len(problems) - MOST_NAMED} more", err=True)
    left_out = f", {len(problems)} rows or tasks left out" if problems else ""
    click.echo(f"{output}: {sum(imported.counts.values())} rows, {len(imported.counts)} tasks{left_out}")


@main.command()
@click.argument("task")
@click.option("--rows", type=click.IntRange(min=1), default=3, show_default=True, help="How many rows.")
@click.option(
    "--split",
    type=click.Choice(["test", "train", "validation"]),
    default="test",
    show_default=True,
    help="Which split.",
)
@_config_option
def show(task: str, rows: int, split: str, config: Path | None) -> None:
    """Show the first rows of a task: the chat, the answer, and how it is scored.

    \b
    Examples:
      python generate_tasks.py show waiting_line_shuffle
      python generate_tasks.py show puzzle_sudoku_n4_12 --rows 1 --split train
    """
    with _one_line_errors():
        from hub_dataset import build_rows
        from hub_dataset.showing import plain_text, print_rows

        shown = build_rows(_selected((task,), (), config)[0], split, rows)
    if not sys.stdout.isatty():
        click.echo("\n\n".join(plain_text(row) for row in shown))
        return
    from rich.console import Console

    print_rows(shown, Console())


@main.command()
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
@_config_option
def install(tasks: tuple[str, ...], config: Path | None) -> None:
    """Install the dataset and the metric, so that both load by their bare name from any directory, also offline.

    Into the caches of datasets and evaluate (HF_HOME), in place of what was installed there before.

    \b
    Example:
      python generate_tasks.py install
      python -c "import datasets; print(datasets.load_dataset('parallelbench', 'waiting_line_copy'))"
    """
    with _one_line_errors():
        from hub_dataset.installing import NAME
        from hub_dataset.installing import install as install_all

        selected = _selected(tasks, (), config)
        left_out: list[str] = []
        with _progress("installing", len(selected)) as advance:
            count = install_all(selected, metric=METRIC, on_config=lambda name: advance(), on_skip=left_out.append)
    for message in left_out:
        click.echo(message, err=True)
    click.echo(
        f"installed {count} rows, {len(selected) - len(left_out)} tasks, and the metric, both under the name {NAME}"
    )


@main.command()
@click.option(
    "--repo", metavar="OWNER/NAME", help="Repository of the dataset.  [default: parallelbench of your account]"
)
@click.option("--space", metavar="OWNER/NAME", help="Space of the metric.  [default: the name of the dataset]")
@click.option("--dry-run", is_flag=True, help="Show what would be uploaded; needs no token and no network.")
def publish(repo: str | None, space: str | None, dry_run: bool) -> None:
    """Publish the dataset and the metric on the Hugging Face Hub.

    One commit each, then the tag of the data's version. A tag never moves: publishing the same content again does
    nothing, other content needs a new version. The token is the one of `hf auth login` or HF_TOKEN.

    \b
    Examples:
      python generate_tasks.py publish --dry-run
      python generate_tasks.py publish --repo my-organisation/parallelbench
    """
    import tempfile

    with _one_line_errors():
        from hub_dataset import publishing
        from hub_dataset.installing import NAME

        owner = publishing.UNKNOWN_OWNER if dry_run else publishing.find_owner()
        repo = repo or f"{owner}/{NAME}"
        with tempfile.TemporaryDirectory() as folder:
            uploads = publishing.prepare_uploads(
                Path(folder), _selected(), repo, space or repo, METRIC, on_skip=lambda text: click.echo(text, err=True)
            )
            for upload in uploads:
                target = f"{upload.repo_type} {upload.repo_id}"
                if dry_run:
                    click.echo(f"{target}: {len(upload.files)} files, tag {publishing.TAG}")
                    click.echo("\n".join(upload.lines()))
                else:
                    click.echo(f"{target}: {publishing.publish(upload)}")


if __name__ == "__main__":
    main()
