"""The command `parallelbench run`: prepare a run, say what it would do or run it with a progress bar, report it."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmark.cli import options as shared
from benchmark.cli.checks import check_models, check_references
from benchmark.cli.choosing import chosen_grid, left_to_others, load_models
from benchmark.cli.report import show_report
from benchmark.cli.run_options import RunOptions
from benchmark.engine.allocator import keep_freed_memory
from benchmark.protocol.questions import Row
from benchmark.protocol.settings import RunSettings, package_version
from benchmark.store.going_on import holds_run
from benchmark.store.runs import RunStore

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.engine.crew import Crew
    from benchmark.models import BenchmarkModel

RESULTS = Path("results")
_RECORDED_PACKAGES = ("torch", "diffusers", "transformers", "datasets", "evaluate", "numpy")


@click.command(name="run")
@click.option(
    "--model",
    "models",
    multiple=True,
    help="ideal, reference, a directory, owner/name[@revision] on the Hub, or package.module:factory, which returns a "
    "model and a tokenizer of your own; ar:NAME_OR_DIRECTORY, an autoregressive model; api:NAME[@URL], one behind a "
    "server; repeatable.",
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    help="Task, a pattern such as 'waiting_line_*', a group of tasks, or a directory with a dataset; repeatable.",
)
@shared.config
@click.option(
    "--scheduler",
    "schedulers",
    multiple=True,
    help="Scheduler by name: its published values; or with parameters, as in entropy:k=4,block_length=8 or "
    "entropy:k=[2,4]. Repeatable.",
)
@click.option("--grid", callback=shared.not_blank, help="What to run, by the name of a grid or in a YAML file.")
@click.option("--samples", type=click.IntRange(min=1), help="Only the first so many questions of each task.")
@click.option("--full", is_flag=True, help="Without --model: the grid `protocol` with all questions, not a selection.")
@shared.block_length
@shared.max_new_tokens
@shared.temperature
@shared.seed
@click.option(
    "--seeds", type=click.IntRange(1, 1000), default=1, show_default=True, help="How many seeds, from --seed on."
)
@shared.debug
@click.option(
    "--batch-size",
    callback=shared.batch_size,
    default="auto",
    show_default=True,
    help="Rows per forward pass; auto: as many as there is memory for. Halved where memory runs out.",
)
@click.option(
    "--sharing/--no-sharing",
    default=True,
    show_default=True,
    help="Share a forward pass among settings that stand at the same state; without it each has the time that it takes "
    "alone. No answer changes.",
)
@click.option(
    "--memory",
    type=click.FloatRange(min=0, min_open=True),
    callback=shared.finite,
    help="Gigabytes for shared states and, on a CPU, a batch; by default by what is free.",
)
@click.option(
    "--gpus",
    type=click.IntRange(min=1),
    help="Worker processes, each with the model on a GPU of its own; by default as many as there are GPUs.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Worker processes on CPUs, each with a copy of the model.")
@click.option(
    "--ray",
    callback=shared.not_blank,
    metavar="ADDRESS",
    help="Place workers on a cluster of Ray: auto, the one that this machine is part of, or HOST:PORT.",
)
@shared.dtype
@click.option("--device", help="cpu, cuda, cuda:1 ...; auto: all GPUs together. By default a GPU if there is one.")
@click.option(
    "--revision", callback=shared.not_blank, help="Branch, tag or commit on the Hub, for models that name none."
)
@shared.chat_option
@click.option(
    "--compile/--no-compile",
    "compiled",
    default=None,
    help="Compile models with torch.compile; by default on a GPU, if all tokens of a model see each other.",
)
@click.option(
    "--quantization",
    type=click.Choice(["int8", "fp8"]),
    help="Weights in 8 bits by torchao, fp8 with activations too; recorded, since some answers differ.",
)
@shared.base_url
@shared.concurrency
@shared.timeout
@shared.log_requests
@click.option("--output", type=click.Path(), callback=shared.path, help="Directory of the run; else one in results/.")
@click.option("--fresh", is_flag=True, help="Start anew instead of going on with what is in the directory.")
@click.option("--allow-unanswerable", is_flag=True, help="Run tasks, too, no right answer of which fits.")
@click.option(
    "--log", "logs", multiple=True, type=click.Choice(["wandb", "trackio"]), help="Tell a tracker; repeatable."
)
@click.option("--log-samples", is_flag=True, help="Tell trackers the samples, too.")
@shared.published
@click.option(
    "--dry-run",
    is_flag=True,
    help="Only say what would be run, how many forward passes that takes, and how long for models on this machine.",
)
@click.option(
    "--probe/--no-probe",
    default=True,
    show_default=True,
    help="With --dry-run, try models that are on this machine for some seconds, to estimate the time.",
)
def command(**arguments: Any) -> None:
    """Run models x tasks x methods, then print the table and draw the trade-off.

    Run without options it takes the grid `quick`: the reference model that ships with the project beside the ideal
    model, on a selection of tasks, methods and questions that shows the effect in two minutes. With --model it takes
    the grid `protocol`: the twelve tasks whose answers can be enumerated, and the published protocol's methods. --grid
    names another one, or a file of your own; then --task and --model narrow it. A run that was interrupted goes on when
    the same command is given again.

    \b
    Example:
      parallelbench run
      parallelbench run --task waiting_line_shuffle --scheduler entropy --scheduler threshold:threshold=0.8
      parallelbench run --model GSAI-ML/LLaDA-8B-Instruct --model ideal:GSAI-ML/LLaDA-8B-Instruct --device cuda
      parallelbench run --grid paper --model GSAI-ML/LLaDA-1.5 --dry-run
      parallelbench run --model api:qwen2.5-7b --base-url http://127.0.0.1:8000/v1 --concurrency 32
    """
    run_benchmark(RunOptions(**arguments))


def run_benchmark(options: RunOptions) -> None:
    """Run what is not on disk yet, then print and write the report.

    Raises:
        ValueError: see `run_into_store`.
    """
    if options.dry_run:
        from benchmark.cli.dry_run import show_dry_run

        catalogue = shared.catalogue(options.config)
        show_dry_run(chosen_grid(options, catalogue), catalogue, options)
        return
    show_report(run_into_store(options, shared.console()).directory, published=options.published)


def run_into_store(options: RunOptions, console: Console, own: Mapping[str, BenchmarkModel] | None = None) -> RunStore:
    """Run what is not on disk yet, and tell on `console` how it goes.

    Args:
        options: what to run.
        console: of rich.
        own: models that are there already, by the names that `options` has for them.

    Raises:
        ValueError: something named does not exist, a model cannot do a task, no right answer of a task fits into the
            new tokens though that is not allowed, or the directory holds another run or is in use. Nothing is written
            then.
    """
    from benchmark.cli.workers import crew_for
    from benchmark.engine.placement import find_placement
    from benchmark.loggers.trackers import check_trackers
    from benchmark.models import reference
    from benchmark.protocol.grids import expand_grid
    from benchmark.theory.references import kind_of_rows
    from hub_dataset import checksum

    check_trackers(options.logs)
    catalogue = shared.catalogue(options.config)
    grid = chosen_grid(options, catalogue)
    keep_freed_memory()
    names = dict.fromkeys(name for group in grid.groups if not group.needs for name in group.models or grid.models)
    placement, line = find_placement(
        gpus=options.gpus, workers=options.workers, address=options.ray, device=options.device
    )
    for_models = replace(options.for_models, of_workers=None if placement is None else placement.device)
    loaded = {model.name: model for model in load_models(list(names), for_models, own or {})}
    parts = expand_grid(grid, lambda name: loaded[name].answer_length if name in loaded else None, catalogue)
    groups = tuple(part.group for part in parts if not part.needs)
    tasks = list(dict.fromkeys(task for group in groups for task in group.tasks))
    rows = {task: catalogue[task].load(grid.samples) for task in tasks}
    if not options.models and not options.grid:
        groups = left_to_others(groups, rows, lambda line: _say(console, line))
    settings = RunSettings(
        groups=groups,
        samples=grid.samples,
        seeds=tuple(range(options.seed, options.seed + options.seeds)),
        temperature=options.temperature,
        checksums={task: checksum(asked) for task, asked in rows.items()},
        model_records={name: model.record() for name, model in loaded.items()},
        sources={task: dict(source) for task in tasks if (source := catalogue[task].source) is not None},
        kinds={task: kind_of_rows(rows[task]) for task in tasks},
    )
    store = RunStore(options.output or RESULTS / settings.directory_name)
    wanted = {**settings.as_dict(), "new_tokens": _new_tokens(settings, loaded, rows)}
    limits: dict[str, Any] = {}
    if not _is_the_same(store, wanted, options.fresh):
        check_references(catalogue, rows)
        limits = check_models(list(loaded.values()), rows, settings, options.allow_unanswerable)
    for part in parts:
        if part.needs:
            _say(console, f"{part.runs} runs of {', '.join(part.group.models)} are left out: they need {part.needs}")
    if not options.models and not options.grid and not reference.is_here():
        _say(console, f"the reference model is not here (no weights in {reference.DIRECTORY}); running the ideal model")
    by_name = [name for name in names if name not in (own or {})]
    crew = None if placement is None else crew_for(placement, settings, options, by_name)
    if line is not None and any(model.has_weights for model in loaded.values()):
        _say(console, line)
    with store.lock():
        # Once more: another process may have begun a run since.
        if not _is_the_same(store, wanted, options.fresh):
            if options.fresh:
                store.clear()
            store.write_settings({**wanted, "versions": _versions(), **limits, "devices": _devices(store)})
        _run_missing(store, settings, rows, list(loaded.values()), options, console, crew)
    return store


def _is_the_same(store: RunStore, wanted: Mapping[str, Any], fresh: bool) -> bool:
    """Whether the directory holds just this run, so that all that was checked before need not be checked again.

    Raises:
        ValueError: it holds another one.
    """
    if not holds_run(store, wanted, fresh=fresh):
        return False
    found = store.read_settings()
    return all(found.get(key) == value for key, value in json.loads(json.dumps(wanted)).items())


def _devices(store: RunStore) -> dict[str, Any]:
    """What the directory's run had run on, if there is one."""
    try:
        return dict(store.read_settings().get("devices", {}))
    except ValueError:
        return {}


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, markup=False)


def _new_tokens(
    settings: RunSettings, models: Mapping[str, BenchmarkModel], rows: dict[str, list[Row]]
) -> dict[str, dict[str, int]]:
    """Model → task → tokens that are generated for an answer."""
    return {
        name: {
            task: settings.new_tokens(model, task, asked)
            for task, asked in rows.items()
            if settings.methods_of(name, task)
        }
        for name, model in models.items()
    }


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
    options: RunOptions,
    console: Console,
    crew: Crew | None,
) -> None:
    from benchmark.engine.runner import Runner
    from benchmark.loggers.terminal import shown_progress
    from benchmark.loggers.trackers import TrackedProgress, tell_results, told_trackers

    how: dict[str, Any] = {"batch_size": options.batch_size, "sharing": options.sharing, "memory": options.memory}
    runner = Runner(settings, store, rows, models, reuse=not options.fresh, crew=crew, **how)
    plan = runner.plan()
    jobs = plan.all_jobs
    before, total = sum(plan.finished.values()), plan.settings
    _say(console, f"run directory: {store.directory}")
    for line in store.read_settings().get("notices", ()):
        _say(console, line)
    for line, count in plan.outdated.items():
        _say(console, f"{line}: {count} of {total} settings are run again")
    for directory, count in plan.taken.items():
        _say(console, f"{count} of {total} settings are taken from {directory}")
    if plan.repeats:
        count = sum(len(job.pending) for job in plan.repeats)
        _say(console, f"{count} of {total} settings draw no noise: one seed is decoded, and its samples are theirs too")
    if plan.kept_answers:
        _say(console, f"{plan.kept_answers} answers of settings that lack others are on disk, and are kept")
    if not jobs:
        console.print(f"all {total} settings are on disk")
    elif before:
        console.print(f"{before} of {total} settings are on disk; going on with the rest")
    if jobs:
        own = [model for model in models if crew is None or model.name not in crew.setup.models]
        # Workers tell themselves what they run on.
        store.add_devices({model.name: model.device_name() for model in own if any(job.model is model for job in jobs)})
    workers = 1 if crew is None else crew.placement.count
    pending = {(job.model.name, job.task, method, job.seed) for job in jobs for method in job.pending}
    try:
        with told_trackers(options.logs, store, pending, lambda line: _say(console, line)) as trackers:
            if jobs:
                with shown_progress(console, jobs, before, workers) as progress:
                    runner.run(plan, progress if trackers is None else TrackedProgress(progress, trackers, store))
            if trackers is not None:
                tell_results(trackers, store, samples=options.log_samples)
    except KeyboardInterrupt as stop:
        console.print("stopped; what is finished is kept, and the same command goes on from here")
        raise click.exceptions.Abort from stop
