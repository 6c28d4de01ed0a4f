"""What the commands of the command line do: prepare a run, run it with a progress bar, print its report."""

from __future__ import annotations

import platform
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmark.engine.allocator import keep_freed_memory
from benchmark.protocol.questions import Row, load_rows, resolve_tasks
from benchmark.protocol.settings import RunSettings, package_version, parse_schedulers
from benchmark.store.runs import LOCK, PLOTS, SAMPLES, SETTINGS, SUMMARIES, RunStore

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.models import BenchmarkModel, ModelOptions

_RECORDED_PACKAGES = ("torch", "diffusers", "transformers", "datasets", "evaluate", "numpy")


def run_benchmark(
    *,
    models: list[str],
    options: ModelOptions,
    task_patterns: list[str],
    specifications: list[str],
    samples: int | None,
    full: bool,
    block_length: int | None,
    max_new_tokens: int | None,
    temperature: float | None,
    seed: int,
    batch_size: int | None,
    output: Path | None,
    fresh: bool,
    results: Path,
) -> None:
    """Run what is not on disk yet, then print and write the report; see the command line's help for the arguments.

    Raises:
        ValueError: something named does not exist, a model cannot do a task, or the directory holds another run or is
            in use. Nothing is written then.
    """
    from benchmark.models import default_models, reference
    from benchmark.protocol.selection import select

    keep_freed_memory()
    quick = not models and not full and reference.is_here()
    loaded = _load_models(models or default_models(), options)
    chosen = select(task_patterns, specifications, samples, quick=quick)
    tasks = resolve_tasks(chosen.tasks)
    rows = {task: load_rows(task, chosen.samples) for task in tasks}
    settings = RunSettings(
        models=tuple(model.name for model in loaded),
        tasks=tuple(tasks),
        schedulers=(),
        samples=chosen.samples,
        seed=seed,
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        checksums=_checksums(rows),
        model_records={model.name: model.record() for model in loaded},
    )
    token_counts = {task: max(settings.new_tokens(model, rows[task]) for model in loaded) for task in tasks}
    settings = replace(settings, schedulers=parse_schedulers(chosen.schedulers, token_counts, block_length))
    store = RunStore(output or results / settings.directory_name)
    notices: list[str] = []
    if not _holds_run(store, settings, fresh):
        notices = _check_models(loaded, rows, settings)
    if not models and not reference.is_here():
        click.echo(f"the reference model is not here (no weights in {reference.DIRECTORY}); running the ideal model")
    with store.lock():
        # Once more: another process may have begun a run since.
        if not _holds_run(store, settings, fresh):
            if fresh:
                store.clear()
            told = {
                "new_tokens": _new_tokens(settings, loaded, rows),
                "versions": _versions(),
                "notices": notices,
                "devices": {},
            }
            entry = {**settings.as_dict(), "format": 1, **told}
            store.write_settings(entry)
        _run_missing(store, settings, rows, loaded, batch_size)
    show_report(store.directory)


def _load_models(names: list[str], options: ModelOptions) -> list[BenchmarkModel]:
    from benchmark.models import HubModel, load_model

    loaded = [load_model(name, options) for name in names]
    on_the_hub = any(isinstance(model, HubModel) and model.on_the_hub for model in loaded)
    if options.revision is not None and not on_the_hub:
        raise ValueError(f"--revision {options.revision}: none of the models comes from the Hub, so none has revisions")
    return loaded


def show_report(*directories: Path, output: Path | None = None) -> None:
    """Write the report of a run, or of several into `output`, and print its tables.

    Raises:
        ValueError: a directory holds no run, or the runs do not go into one report.
    """
    from benchmark.report.writing import write_report

    console = _console()
    if console.is_terminal:
        with console.status("drawing the plots"):
            written = write_report(*directories, output=output)
    else:
        written = write_report(*directories, output=output)
    for part in written.renderables():
        console.print(part)
    if written.missing_line:
        console.print(written.missing_line)
    console.print(
        f"{len(written.files)} files in {written.directory}: summary.json, summary.csv, plots/*.png",
        soft_wrap=True,
        markup=False,
    )


def _checksums(rows: dict[str, list[Row]]) -> dict[str, str]:
    import hub_dataset

    return {task: hub_dataset.checksum(rows[task]) for task in rows}


def _new_tokens(
    settings: RunSettings, models: list[BenchmarkModel], rows: dict[str, list[Row]]
) -> dict[str, dict[str, int]]:
    """Model → task → tokens that are generated for an answer."""
    return {model.name: {task: settings.new_tokens(model, rows[task]) for task in rows} for model in models}


def _check_models(models: list[BenchmarkModel], rows: dict[str, list[Row]], settings: RunSettings) -> list[str]:
    """Lines on what models can do in part only."""
    notices = []
    for model in models:
        for task in rows:
            try:
                notice = model.check_task(rows[task], settings.new_tokens(model, rows[task]))
            except ValueError as error:
                raise ValueError(f"{model.name} on {task}: {error}") from error
            if notice is not None:
                notices.append(f"{model.name} on {task}: {notice}")
    return notices


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
        if key == "models" and there != value:
            _compare_models(directory, there, value)
        if there != value:
            short = not isinstance(value, list | dict) and not isinstance(there, list | dict)
            difference = f"{key} is {_in_words(there)} there, {_in_words(value)} here" if short else f"other {key}"
            raise ValueError(
                f"{directory} holds another run ({difference}); choose another --output, or --fresh to replace it"
            )


def _compare_models(directory: Path, found: Any, wanted: list[Any]) -> None:
    """Name what differs in a model of the same name; other names are for the caller."""
    there = {entry["name"]: entry for entry in found if isinstance(entry, dict)}
    here = {entry["name"]: entry for entry in wanted if isinstance(entry, dict)}
    for name in there.keys() & here.keys():
        for key in there[name].keys() | here[name].keys():
            old, new = there[name].get(key), here[name].get(key)
            if old != new:
                difference = f"{key} of {name} is {_in_words(old)} there, {_in_words(new)} here"
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


def _run_missing(
    store: RunStore,
    settings: RunSettings,
    rows: dict[str, list[Row]],
    models: list[BenchmarkModel],
    batch_size: int | None,
) -> None:
    from benchmark.engine.runner import Runner
    from benchmark.loggers.terminal import shown_progress

    runner = Runner(settings, store, rows, models, batch_size=batch_size)
    jobs, finished = runner.jobs()
    console = _console()
    before = sum(finished.values())
    total = before + sum(len(job.pending) for job in jobs)
    console.print(f"run directory: {store.directory}", soft_wrap=True, markup=False)
    for line in store.read_settings().get("notices", ()):
        console.print(line, soft_wrap=True, markup=False)
    if not jobs:
        console.print(f"all {total} settings are on disk")
        return
    if before:
        console.print(f"{before} of {total} settings are on disk; going on with the rest")
    _record_devices(store, [model for model in models if any(job.model is model for job in jobs)])
    try:
        with shown_progress(console, jobs, before) as progress:
            runner.run(jobs, progress)
    except KeyboardInterrupt:
        console.print("stopped; what is finished is kept, and the same command goes on from here")
        raise click.exceptions.Abort from None


def _record_devices(store: RunStore, models: list[BenchmarkModel]) -> None:
    """Add to the settings what the models run on now; a run may go on on another machine."""
    entry = store.read_settings()
    devices = dict(entry.get("devices", {}))
    for model in models:
        devices[model.name] = list(dict.fromkeys([*devices.get(model.name, []), model.device_name()]))
    if devices != entry.get("devices"):
        store.write_settings({**entry, "devices": devices})


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    # A pipe has no width of its own, and what is written there should not be cut to 80 columns.
    return console if console.is_terminal else Console(highlight=False, width=110)
