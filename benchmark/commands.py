"""What the commands of the command line do: prepare a run, run it with a progress bar, print its report."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .data import Row, load_rows, resolve_tasks
from .memory import keep_freed_memory
from .results import LOCK, PLOTS, SAMPLES, SETTINGS, SUMMARIES, RunStore
from .settings import RunSettings, package_version, parse_schedulers

if TYPE_CHECKING:
    from rich.console import Console

    from .models import BenchmarkModel
    from .runner import Job, Runner

_KINDS = ("tasks", "schedulers", "models")
_RECORDED_PACKAGES = ("torch", "diffusers", "transformers", "datasets", "evaluate", "numpy")


def run_benchmark(
    *,
    models: list[str],
    task_patterns: list[str],
    specifications: list[str],
    samples: int | None,
    block_length: int | None,
    max_new_tokens: int | None,
    temperature: float | None,
    seed: int,
    batch_size: int,
    output: Path | None,
    fresh: bool,
    results: Path,
) -> None:
    """Run what is not on disk yet, then print and write the report; see the command line's help for the arguments.

    Raises:
        ValueError: something named does not exist, a model cannot do a task, or the directory holds another run or is
            in use. Nothing is written then.
    """
    from .models import load_model

    keep_freed_memory()
    loaded = [load_model(name) for name in models]
    tasks = resolve_tasks(task_patterns)
    rows = {task: load_rows(task, samples) for task in tasks}
    token_counts = {task: max_new_tokens or rows[task][0]["max_new_tokens"] for task in tasks}
    settings = RunSettings(
        models=tuple(models),
        tasks=tuple(tasks),
        schedulers=parse_schedulers(specifications, token_counts, block_length),
        samples=samples,
        seed=seed,
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        checksums=_checksums(rows),
    )
    store = RunStore(output or results / settings.directory_name)
    if not _holds_run(store, settings, fresh):
        _check_models(loaded, rows, token_counts)
    with store.lock():
        # Once more: another process may have begun a run since.
        if not _holds_run(store, settings, fresh):
            if fresh:
                store.clear()
            store.write_settings({**settings.as_dict(), "format": 1, "versions": _versions()})
        _run_missing(store, settings, rows, batch_size)
    show_report(store.directory)


def show_report(directory: Path) -> None:
    """Write the report of a run and print its tables.

    Raises:
        ValueError: the directory holds no run.
    """
    from .report import write_report

    console = _console()
    if console.is_terminal:
        with console.status("drawing the plots"):
            written = write_report(directory)
    else:
        written = write_report(directory)
    for part in written.renderables():
        console.print(part)
    if written.missing_line:
        console.print(written.missing_line)
    console.print(
        f"{len(written.files)} files in {written.directory}: summary.json, summary.csv, plots/*.png",
        soft_wrap=True,
        markup=False,
    )


def show_lists(what: str | None) -> None:
    """Print the tasks, schedulers and models that can be named, or one of the three."""
    from rich import box
    from rich.table import Table

    console = _console()
    for kind in _KINDS:
        if what in (None, kind):
            columns, entries = _list(kind)
            table = Table(*columns, title=kind, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
            for entry in entries:
                table.add_row(*entry)
            console.print(table)


def _list(kind: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows of one of the lists; only that of schedulers has to import them."""
    if kind == "tasks":
        import hub_dataset

        default = set(hub_dataset.default_task_names())
        tasks = [hub_dataset.task_info(name) for name in hub_dataset.config_names()]
        return ("task", "rows", "new tokens", "default"), [
            (task.name, str(task.rows), str(task.max_new_tokens), "yes" if task.name in default else "")
            for task in tasks
        ]
    if kind == "schedulers":
        from samplers import scheduler_names

        return ("scheduler", "parameters"), [(name, _parameters(name)) for name in scheduler_names()]
    from .models import DESCRIPTIONS

    return ("model", "what it is"), list(DESCRIPTIONS.items())


def _parameters(scheduler: str) -> str:
    import inspect

    from samplers import scheduler_class

    return ", ".join(
        parameter.name if parameter.default is None else f"{parameter.name}={parameter.default}"
        for parameter in inspect.signature(scheduler_class(scheduler).__init__).parameters.values()
        if parameter.name != "self"
    )


def _checksums(rows: dict[str, list[Row]]) -> dict[str, str]:
    import hub_dataset

    return {task: hub_dataset.checksum(rows[task]) for task in rows}


def _check_models(models: list[BenchmarkModel], rows: dict[str, list[Row]], token_counts: dict[str, int]) -> None:
    for model in models:
        for task in rows:
            try:
                model.check_task(rows[task], token_counts[task])
            except ValueError as error:
                raise ValueError(f"{model.name} on {task}: {error}") from error


def _holds_run(store: RunStore, settings: RunSettings, fresh: bool) -> bool:
    """Whether the directory holds this very run to go on with; if not, a new one may begin there.

    Raises:
        ValueError: what it holds is another run, or a run's files that nobody knows the run of; or, where it was to
            start anew, files of somebody else.
    """
    directory = store.directory
    own = [name for name in (SETTINGS, SAMPLES, PLOTS, *SUMMARIES) if (directory / name).exists()]
    if fresh:
        if own and not (directory / LOCK).exists():
            # No run was ever started there: unless the settings are those of a run that was copied, all of it stays.
            try:
                store.read_settings()
            except ValueError:
                raise ValueError(
                    f"{directory} holds {', '.join(own)}, but no run that --fresh could replace; "
                    "choose another --output"
                ) from None
        return False
    if SETTINGS in own:
        _compare(directory, store.read_settings(), settings.as_dict())
        return True
    if SAMPLES in own and any((directory / SAMPLES).rglob("*.jsonl")):
        raise ValueError(
            f"{directory} holds samples without the {SETTINGS} that says of which run; "
            "choose another --output, or --fresh to replace them"
        )
    return False


def _compare(directory: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for key, value in wanted.items():
        there = found.get(key)
        if there != value:
            short = not isinstance(value, list | dict) and not isinstance(there, list | dict)
            difference = f"{key} is {_in_words(there)} there, {_in_words(value)} here" if short else f"other {key}"
            raise ValueError(
                f"{directory} holds another run ({difference}); choose another --output, or --fresh to replace it"
            )


def _in_words(value: Any) -> str:
    return "the default" if value is None else str(value)


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "parallelbench": package_version()}
    for package in _RECORDED_PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _run_missing(store: RunStore, settings: RunSettings, rows: dict[str, list[Row]], batch_size: int) -> None:
    from .runner import Runner

    runner = Runner(settings, store, rows, batch_size=batch_size)
    jobs, finished = runner.jobs()
    console = _console()
    before = sum(finished.values())
    total = before + sum(len(job.pending) for job in jobs)
    console.print(f"run directory: {store.directory}", soft_wrap=True, markup=False)
    if not jobs:
        console.print(f"all {total} settings are on disk")
        return
    if before:
        console.print(f"{before} of {total} settings are on disk; going on with the rest")
    try:
        _run_with_progress(console, runner, jobs, before, total)
    except KeyboardInterrupt:
        console.print("stopped; what is finished is kept, and the same command goes on from here")
        raise click.exceptions.Abort from None


def _run_with_progress(console: Console, runner: Runner, jobs: list[Job], before: int, total: int) -> None:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("settings"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    left: dict[str, int] = {}
    for job in jobs:
        left[job.task] = left.get(job.task, 0) + len(job.pending)
    done = before
    # A file is no place for a bar; a line per task shows there that something happens.
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        shown = bar.add_task("decoding", total=total, completed=before)

        def advance(task: str, count: int) -> None:
            nonlocal done
            done += count
            left[task] -= count
            bar.update(shown, advance=count, description=task)
            if left[task] == 0 and not console.is_terminal:
                console.print(f"{task}: done; {done} of {total} settings are on disk")

        runner.run(jobs, advance)
        bar.update(shown, description="decoding")


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    # A pipe has no width of its own, and what is written there should not be cut to 80 columns.
    return console if console.is_terminal else Console(highlight=False, width=110)
