"""The command `parallelbench watch`: one question, decoded step by step before your eyes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmark.cli import options as shared
from benchmark.cli.drawing import ENDINGS, Drawing
from benchmark.cli.frames import Frame, frame_of, frames_of
from benchmark.protocol.method import Method, expand
from benchmark.protocol.questions import Row
from benchmark.protocol.settings import default_new_tokens

if TYPE_CHECKING:
    from benchmark.models.interface import ModelOptions
    from benchmark.protocol.tasks import Catalogue


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What a user asked to see, by the names of the options; None means the default."""

    task: str | None = None
    config: str | Path | None = None
    row: int = 0
    scheduler: str | None = None
    model: str | None = None
    run: Path | None = None
    block_length: int | None = None
    max_new_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    dtype: str | None = None
    device: str | None = None
    revision: str | None = None
    chat_options: Mapping[str, Any] = field(default_factory=dict)
    delay: float = 0.4
    save: Path | None = None

    @property
    def for_models(self) -> ModelOptions:
        """How models with weights are loaded."""
        from benchmark.models.interface import ModelOptions

        return ModelOptions(self.dtype, self.device, self.revision, chat_options=self.chat_options)


def watch(options: WatchOptions) -> None:
    """Decode one row of a task's test split and show every step, or show those that a run has kept.

    Raises:
        ValueError: something named does not exist, or `save` has an ending other than .svg and .txt.
    """
    if options.save is not None and options.save.suffix not in ENDINGS:
        raise ValueError(f"--save {options.save}: the file's name should end in {' or '.join(ENDINGS)}")
    catalogue = shared.catalogue(options.config)
    task, row = _question(catalogue, options.task or _only_task(catalogue, options.run), options.row)
    if options.run is None:
        method, model = _method(options.scheduler or "confidence", options.block_length), options.model or "ideal"
        steps = decode(row, method, options)
    else:
        model, method, sample = _kept(options, options.run, task, row)
        steps = frames_of(sample)
    title = f"{task}, row {options.row} · {model} · {method}"
    drawing = Drawing(title, row["messages"][-1]["content"], row["answer"])
    frames = drawing.show(steps, options.delay)
    if options.save is not None:
        drawing.save(frames, options.save)
        click.echo(f"saved: {options.save}")


def _only_task(catalogue: Catalogue, directory: Path | None) -> str:
    """The task of a run that has no other."""
    from benchmark.protocol.settings import settings_groups, settings_keys
    from benchmark.store.runs import RunStore

    if directory is None:
        raise ValueError("name a task with --task; `parallelbench list tasks` has them all")
    settings = RunStore(directory).read_settings()
    groups = settings_groups(settings)
    tasks = list(dict.fromkeys(task for _, task, _ in settings_keys(groups)))
    if len(tasks) != 1:
        raise ValueError(f"{directory} has several tasks; name one with --task: {', '.join(tasks)}")
    source = settings.get("data", {}).get("sources", {}).get(tasks[0])
    if source and tasks[0] not in catalogue.own:
        option = "--config" if "config" in source else "--task"
        raise ValueError(
            f"{tasks[0]}, the task of {directory}, comes from {next(iter(source.values()))}: give {option}"
        )
    return tasks[0]


def _question(catalogue: Catalogue, task: str, number: int) -> tuple[str, Row]:
    """The full name of a task, and one row of its test split."""
    names = catalogue.resolve([task])
    if len(names) != 1:
        raise ValueError(f"task {task!r} stands for {len(names)} tasks; name one")
    rows = catalogue[names[0]].load(number + 1)
    if len(rows) <= number:
        raise ValueError(f"row {number} of {names[0]} does not exist; rows are numbered from 0 to {len(rows) - 1}")
    return names[0], rows[number]


def _method(scheduler: str, block_length: int | None) -> Method:
    methods = expand(scheduler, 1, block_length, sweep=False)
    if len(methods) != 1:
        raise ValueError(f"scheduler {scheduler!r} stands for {len(methods)} methods; name one")
    return methods[0]


def _kept(options: WatchOptions, directory: Path, task: str, row: Row) -> tuple[str, Method, dict[str, Any]]:
    """Model, method and answer of a run; where it has several, the options name one."""
    from benchmark.protocol.settings import settings_groups, settings_keys
    from benchmark.store.runs import RunStore

    store = RunStore(directory)
    keys = [key for key in settings_keys(settings_groups(store.read_settings())) if key[1] == task]
    models = [name for name in dict.fromkeys(model for model, _, _ in keys) if options.model in (None, name)]
    if not models:
        wanted = f"{options.model} on {task}" if options.model else task
        raise ValueError(f"{directory} has no answers of {wanted}")
    methods = [method for model, _, method in keys if model == models[0]]
    if options.scheduler is not None:
        asked = _method(options.scheduler, options.block_length)
        methods = [method for method in methods if method == asked]
        if not methods:
            raise ValueError(f"{directory} has no answers of {models[0]} on {task} under {asked}")
    if len(models) > 1 or len(methods) > 1:
        what, names = ("model", models) if len(models) > 1 else ("scheduler", [str(method) for method in methods])
        raise ValueError(f"{directory} has several on {task}; name one with --{what}: {', '.join(names)}")
    key = models[0], task, methods[0]
    seed = store.seeds_of(*key)[0] if options.seed is None else options.seed
    samples = {sample["id"]: sample for sample in store.read_samples(*key, seed)}
    if row["id"] not in samples:
        raise ValueError(f"{directory} has no answer to row {options.row} of {task}; it has {len(samples)} of them")
    return models[0], methods[0], samples[row["id"]]


def decode(row: Row, method: Method, options: WatchOptions) -> Iterator[Frame]:
    """The frames of one decoding, made while it goes on.

    Raises:
        ValueError: there is no such model, it cannot do this task, or it tells no steps.
    """
    from benchmark.engine.worker import LogitsWorker, worker_for
    from benchmark.models import OwnModel, load_model
    from benchmark.models.interface import AnswerOptions
    from benchmark.protocol.user_code import as_user_code

    model = load_model(options.model or "ideal", options.for_models)
    worker = worker_for(model)
    if not isinstance(worker, LogitsWorker):
        raise ValueError(f"{model.name} gives answers without the steps to them; `parallelbench run` shows its answers")
    length = options.max_new_tokens or default_new_tokens(model, [row])
    model.check_task([row], length)
    decoder = worker.decoder(
        [row],
        AnswerOptions(max_new_tokens=length, temperature=options.temperature, seed=options.seed or 0, batch_size=1),
    )
    with as_user_code(isinstance(model, OwnModel) or ":" in method.name, f"{model.name} under {method}"):
        for step in decoder.steps(method):
            yield frame_of(step, decoder.prepared.tokenizer)


@click.command(name="watch")
@click.option(
    "--task", help="Task, such as waiting_line_shuffle, or a directory with one; of a run, by default its only one."
)
@shared.config
@click.option("--row", type=click.IntRange(min=0), default=0, show_default=True, help="Number of the question.")
@click.option("--scheduler", help="Scheduler, as in entropy:k=4; by default confidence, or the run's only one.")
@click.option("--model", help="Model, as for run; by default ideal, or the run's only one.")
@click.option(
    "--run", type=click.Path(), callback=shared.path, help="Show an answer that the run in this directory kept."
)
@shared.block_length
@shared.max_new_tokens
@shared.temperature
@click.option("--seed", type=int, help="Another seed gives other samples; by default 0, or the run's first.")
@shared.debug
@shared.dtype
@click.option("--device", help="cpu, cuda, cuda:1 ...; by default a GPU if there is one.")
@click.option("--revision", callback=shared.not_blank, help="Branch, tag or commit on the Hub.")
@shared.chat_option
@click.option(
    "--delay",
    type=click.FloatRange(min=0, max=60),
    callback=shared.finite,
    default=0.4,
    show_default=True,
    help="Seconds between two steps in a terminal; 0 prints all steps one under the other.",
)
@click.option("--save", type=click.Path(), callback=shared.path, help="Keep all steps in a file: .svg or .txt.")
def command(**arguments: Any) -> None:
    """Decode one question and show every step: what was committed, what was masked again, what is still masked.

    The steps are those of `parallelbench run` for the same model, question, method and seed. With --run they are those
    that a run kept, and no model is loaded; what it masked again on the way is not kept. Written to a file or a pipe,
    tokens are marked with brackets instead of colours.

    \b
    Example:
      parallelbench watch --task waiting_line_shuffle --row 3 --scheduler remdm:k=2
      parallelbench watch --task waiting_line_shuffle --run results/my-run --scheduler random:k=4
    """
    watch(WatchOptions(**arguments))
