"""The command `parallelbench run`: prepare a run, say what it would do or run it with a progress bar, report it."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmark.cli import options as shared
from benchmark.cli.report import show_report
from benchmark.engine.allocator import keep_freed_memory
from benchmark.protocol.questions import Row, load_rows
from benchmark.protocol.settings import RunSettings, package_version, settings_groups, settings_keys
from benchmark.store.runs import LOCK, PLOTS, SAMPLES, SETTINGS, SUMMARIES, RunStore

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.models import BenchmarkModel, ModelOptions
    from benchmark.protocol.grids import Grid

RESULTS = Path("results")
_RECORDED_PACKAGES = ("torch", "diffusers", "transformers", "datasets", "evaluate", "numpy")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a user asked for, by the names of the options; None means the default."""

    models: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    schedulers: tuple[str, ...] = ()
    grid: str | None = None
    samples: int | None = None
    full: bool = False
    block_length: int | None = None
    max_new_tokens: int | None = None
    temperature: float | None = None
    seed: int = 0
    batch_size: int | None = None
    dtype: str | None = None
    device: str | None = None
    revision: str | None = None
    chat_options: Mapping[str, Any] = field(default_factory=dict)
    compiled: bool = False
    output: Path | None = None
    fresh: bool = False
    allow_unanswerable: bool = False
    dry_run: bool = False

    @property
    def for_models(self) -> ModelOptions:
        """How models with weights are loaded."""
        from benchmark.models import ModelOptions

        return ModelOptions(self.dtype, self.device, self.revision, self.compiled, self.chat_options)


@click.command(name="run")
@click.option(
    "--model",
    "models",
    multiple=True,
    help="ideal, reference, a directory, owner/name[@revision] on the Hub, or package.module:factory, which returns a "
    "model and a tokenizer of your own; repeatable.",
)
@click.option(
    "--task", "tasks", multiple=True, help="Task, a pattern such as 'waiting_line_*', or a group of tasks; repeatable."
)
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
@shared.debug
@click.option(
    "--batch-size",
    callback=shared.batch_size,
    default="auto",
    show_default=True,
    help="Rows per forward pass; auto: as many as there is memory for. Halved where memory runs out.",
)
@shared.dtype
@click.option("--device", help="cpu, cuda, cuda:1 ...; auto: all GPUs together. By default a GPU if there is one.")
@click.option(
    "--revision", callback=shared.not_blank, help="Branch, tag or commit on the Hub, for models that name none."
)
@shared.chat_option
@click.option("--compile", "compiled", is_flag=True, help="Compile models with torch.compile.")
@click.option("--output", type=click.Path(), callback=shared.path, help="Directory of the run; else one in results/.")
@click.option("--fresh", is_flag=True, help="Start anew instead of going on with what is in the directory.")
@click.option("--allow-unanswerable", is_flag=True, help="Run tasks, too, no right answer of which fits.")
@click.option("--dry-run", is_flag=True, help="Only say what would be run, and how many forward passes that takes.")
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
    """
    run_benchmark(RunOptions(**arguments))


def run_benchmark(options: RunOptions) -> None:
    """Run what is not on disk yet, then print and write the report.

    Raises:
        ValueError: see `run_into_store`.
    """
    if options.dry_run:
        from benchmark.cli.dry_run import show_dry_run

        show_dry_run(_chosen_grid(options))
        return
    show_report(run_into_store(options, shared.console()).directory)


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
    from benchmark.models import reference
    from benchmark.protocol.grids import expand_grid

    grid = _chosen_grid(options)
    keep_freed_memory()
    names = dict.fromkeys(name for group in grid.groups if not group.needs for name in group.models or grid.models)
    loaded = {model.name: model for model in _load_models(list(names), options.for_models, own or {})}
    parts = expand_grid(grid, lambda name: loaded[name].answer_length if name in loaded else None)
    groups = tuple(part.group for part in parts if not part.needs)
    tasks = list(dict.fromkeys(task for group in groups for task in group.tasks))
    rows = {task: load_rows(task, grid.samples) for task in tasks}
    settings = RunSettings(
        groups=groups,
        samples=grid.samples,
        seed=options.seed,
        temperature=options.temperature,
        checksums=_checksums(rows),
        model_records={name: model.record() for name, model in loaded.items()},
    )
    store = RunStore(options.output or RESULTS / settings.directory_name)
    limits: dict[str, Any] = {}
    if not _holds_run(store, settings, options.fresh):
        limits = _check_models(list(loaded.values()), rows, settings, options.allow_unanswerable)
    for part in parts:
        if part.needs:
            _say(console, f"{part.runs} runs of {', '.join(part.group.models)} are left out: they need {part.needs}")
    if not options.models and not options.grid and not reference.is_here():
        _say(console, f"the reference model is not here (no weights in {reference.DIRECTORY}); running the ideal model")
    with store.lock():
        # Once more: another process may have begun a run since.
        if _holds_run(store, settings, options.fresh):
            store.convert()
        else:
            if options.fresh:
                store.clear()
            told = {"new_tokens": _new_tokens(settings, loaded, rows), "versions": _versions(), **limits, "devices": {}}
            store.write_settings({**settings.as_dict(), **told})
        _run_missing(store, settings, rows, list(loaded.values()), options.batch_size, console)
    return store


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, markup=False)


def _chosen_grid(options: RunOptions) -> Grid:
    """The grid that was named, or the default one, with the values that options gave in place of its own."""
    from benchmark.models import default_models, reference
    from benchmark.protocol.grids import read_grid

    quick = not options.models and not options.full and reference.is_here()
    grid = read_grid(options.grid or ("quick" if quick else "protocol"))
    return grid.narrowed(
        models=options.models or (() if options.grid else default_models()),
        tasks=options.tasks,
        schedulers=options.schedulers,
        block_length=options.block_length,
        new_tokens=options.max_new_tokens,
        samples=options.samples,
        within=options.grid is not None,
    )


def _load_models(names: list[str], options: ModelOptions, own: Mapping[str, BenchmarkModel]) -> list[BenchmarkModel]:
    from benchmark.models import HubModel, load_model

    loaded = [own[name] if name in own else load_model(name, options) for name in names]
    on_the_hub = any(isinstance(model, HubModel) and model.on_the_hub for model in loaded)
    if options.revision is not None and not on_the_hub:
        raise ValueError(f"--revision {options.revision}: none of the models comes from the Hub, so none has revisions")
    return loaded


def _checksums(rows: dict[str, list[Row]]) -> dict[str, str]:
    import hub_dataset

    return {task: hub_dataset.checksum(rows[task]) for task in rows}


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


def _check_models(
    models: Sequence[BenchmarkModel], rows: dict[str, list[Row]], settings: RunSettings, allow_unanswerable: bool
) -> dict[str, Any]:
    """What models can do in part only: lines on it, and the best scores that are left where they are below 100.

    Raises:
        ValueError: a model cannot do a task, or no right answer of one fits and `allow_unanswerable` is false.
    """
    from hub_dataset.fit import answer_fit

    notices: list[str] = []
    best_scores: dict[str, dict[str, float]] = {}
    for model in models:
        for task, asked in rows.items():
            if not settings.methods_of(model.name, task):
                continue
            new_tokens = settings.new_tokens(model, task, asked)
            try:
                notice = model.check_task(asked, new_tokens)
            except ValueError as error:
                raise ValueError(f"{model.name} on {task}: {error}") from error
            if notice is not None:
                notices.append(f"{model.name} on {task}: {notice}")
            count_tokens = model.token_counter()
            if count_tokens is None:
                continue
            fit = answer_fit(asked, new_tokens, count_tokens)
            if fit.too_long == fit.rows and not allow_unanswerable:
                raise ValueError(f"{model.name} on {task}: {fit.limit()}; --allow-unanswerable runs it all the same")
            if fit.limit() is not None:
                notices.append(f"{model.name} on {task}: {fit.limit()}")
            if fit.too_long:
                best_scores.setdefault(model.name, {})[task] = fit.best_score
    return {"notices": notices, "best_scores": best_scores}


def _holds_run(store: RunStore, settings: RunSettings, fresh: bool) -> bool:
    """Whether the directory holds this very run to go on with; if not, a new one may begin there.

    Raises:
        ValueError: it holds another run, or samples without the settings of their run; with `fresh`, files that are
            not of a run.
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
            f"{directory} holds samples without the {SETTINGS} of their run; "
            "choose another --output, or --fresh to replace them"
        )
    return False


def _compare(directory: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse to go on with a run that differs in what decides its numbers."""
    there, here = _facts(found), _facts(wanted)
    different = [what for what in here | there if there.get(what) != here.get(what)]
    if different:
        what = different[0]
        short = not isinstance(there.get(what), frozenset | dict)
        values = f" is {_in_words(there.get(what))} there, {_in_words(here.get(what))} here" if short else ""
        difference = f"{what}{values}" if short else f"other {what}"
        raise ValueError(
            f"{directory} holds another run ({difference}); choose another --output, or --fresh to replace it"
        )


def _facts(settings: dict[str, Any]) -> dict[str, Any]:
    """What decides the numbers of a run, by how an error names it; first what tells most."""
    groups = settings_groups(settings)
    keys = settings_keys(groups)
    facts: dict[str, Any] = {
        "models": frozenset(model for model, _, _ in keys),
        "tasks": frozenset(task for _, task, _ in keys),
        "methods": frozenset(keys),
    }
    for entry in settings["models"]:
        record = {} if isinstance(entry, str) else entry
        for key, value in record.items():
            # Of several sources the one that changed is named.
            several = {f"{key} {part}": of_part for part, of_part in value.items()} if key == "source" else {key: value}
            facts |= {f"{part} of {record['name']}": of_part for part, of_part in several.items() if part != "name"}
    facts |= {f"new tokens of {task}": group.new_tokens for group in groups for task in group.tasks}
    return facts | {key: settings.get(key) for key in ("samples", "seed", "temperature", "data", "parallelbench")}


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
    console: Console,
) -> None:
    from benchmark.engine.runner import Runner
    from benchmark.loggers.terminal import shown_progress

    runner = Runner(settings, store, rows, models, batch_size=batch_size)
    jobs, finished = runner.jobs()
    before = sum(finished.values())
    total = before + sum(len(job.pending) for job in jobs)
    _say(console, f"run directory: {store.directory}")
    for line in store.read_settings().get("notices", ()):
        _say(console, line)
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
