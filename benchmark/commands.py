"""What the commands of the command line do: prepare a run, run it with a progress bar, print its report."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .data import Row, load_rows, resolve_tasks
from .memory import keep_freed_memory
from .results import RunStore
from .settings import RunSettings, package_version, parse_schedulers

if TYPE_CHECKING:
    from rich.console import Console

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
        ValueError: something named does not exist, or the directory holds another run or is in use.
    """
    from .models import load_model

    keep_freed_memory()
    for name in models:
        load_model(name)
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
    with store.lock():
        if fresh:
            store.clear()
        _open_run(store, settings)
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
        f"{len(written.files)} files in {written.directory}: summary.json, summary.csv, plots/*.png", soft_wrap=True
    )


def show_lists(what: str | None) -> None:
    """Print the tasks, schedulers and models that can be named, or one of the three."""
    from rich import box
    from rich.table import Table

    console = _console()
    for kind, columns, entries in _lists():
        if what in (None, kind):
            table = Table(*columns, title=kind, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
            for entry in entries:
                table.add_row(*entry)
            console.print(table)


def _lists() -> list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    import inspect

    import hub_dataset
    from samplers import scheduler_class, scheduler_names

    from .models import DESCRIPTIONS

    default = set(hub_dataset.default_task_names())
    tasks = [hub_dataset.task_info(name) for name in hub_dataset.config_names()]
    parameters = {
        name: [
            parameter.name if parameter.default is None else f"{parameter.name}={parameter.default}"
            for parameter in inspect.signature(scheduler_class(name).__init__).parameters.values()
            if parameter.name != "self"
        ]
        for name in scheduler_names()
    }
    return [
        (
            "tasks",
            ("task", "rows", "new tokens", "default"),
            [(t.name, str(t.rows), str(t.max_new_tokens), "yes" if t.name in default else "") for t in tasks],
        ),
        ("schedulers", ("scheduler", "parameters"), [(name, ", ".join(parameters[name])) for name in parameters]),
        ("models", ("model", "what it is"), list(DESCRIPTIONS.items())),
    ]


def _checksums(rows: dict[str, list[Row]]) -> dict[str, str]:
    import hub_dataset

    return {task: hub_dataset.checksum(rows[task]) for task in rows}


def _open_run(store: RunStore, settings: RunSettings) -> None:
    """Write the settings, or make sure that the directory holds this very run."""
    wanted = settings.as_dict()
    if not (store.directory / "settings.json").exists():
        store.write_settings({**wanted, "format": 1, "versions": _versions()})
        return
    found = store.read_settings()
    for key, value in wanted.items():
        if found.get(key) != value:
            raise ValueError(
                f"{store.directory} holds another run: its {key} differ; "
                "choose another --output, or --fresh to replace it"
            )


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
    console.print(f"run directory: {store.directory}", soft_wrap=True)
    if not jobs:
        console.print(f"all {total} settings are on disk")
        return
    if before:
        console.print(f"{before} of {total} settings are on disk; going on with the rest")
    try:
        _run_with_progress(console, runner, jobs, finished, total)
    except KeyboardInterrupt:
        console.print("stopped; what is finished is kept, and the same command goes on from here")
        raise click.exceptions.Abort from None


def _run_with_progress(console: Console, runner: Any, jobs: Any, finished: dict[str, int], total: int) -> None:
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
    left = dict.fromkeys(finished, 0)
    for job in jobs:
        left[job.task] += len(job.pending)
    with Progress(*columns, console=console) as bar:
        shown = bar.add_task("decoding", total=total, completed=sum(finished.values()))

        def advance(task: str, count: int) -> None:
            left[task] -= count
            bar.update(shown, advance=count, description=task)
            if left[task] == 0 and not console.is_terminal:
                # A bar draws nothing in a file; a line per task shows there that something happens.
                console.print(f"{task}: done")

        runner.run(jobs, advance)
        bar.update(shown, description="decoding")


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    # A pipe has no width of its own, and what is written there should not be cut to 80 columns.
    return console if console.is_terminal else Console(highlight=False, width=110)
