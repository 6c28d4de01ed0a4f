"""The command line: `tokenizer`, `train`, `predict`, `ideal` and `card`, in the order in which the model is made."""

from __future__ import annotations

import os
from pathlib import Path

import click

from hub_dataset.commands import OneLineErrors

from .defaults import DECAY, GROUPS, LEARNING_RATE, PROMPTS, STEPS, WARMUP

HUB_MODEL = Path(__file__).resolve().parent.parent / "hub_model"
# As many as keep a GPU busy.
WORKERS = 12
_directory = click.option(
    "--model", "directory", type=click.Path(path_type=Path), default=HUB_MODEL, help="Directory of the model."
)
_at_least_0, _at_least_1 = click.IntRange(min=0), click.IntRange(min=1)
_samples = click.option("--samples", type=_at_least_1, help="Rows of each task; by default all of test.")


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Make the reference model: a tokenizer, then weights, then the numbers of its card."""


@main.command()
@_directory
@click.option(
    "--names", type=click.IntRange(min=4), default=160_000, show_default=True, help="Made-up names to learn from."
)
def tokenizer(directory: Path, names: int) -> None:
    """Train the tokenizer on training texts and write it into the model's directory."""
    from .corpus import training_texts
    from .names import names_for_tokenizer
    from .tokenizer import corpus, save_tokenizer, train_tokenizer

    directory.mkdir(parents=True, exist_ok=True)
    trained = train_tokenizer(corpus(names_for_tokenizer(names), training_texts()))
    save_tokenizer(trained, directory)
    click.echo(f"{directory}: a tokenizer of {trained.get_vocab_size()} tokens")


@main.command()
@_directory
@click.option("--out", "output", type=click.Path(path_type=Path), required=True, help="For the log and checkpoints.")
@click.option("--steps", type=_at_least_1, default=STEPS, show_default=True, help="Steps of the whole run.")
@click.option(
    "--decay",
    type=_at_least_0,
    help=f"Last steps, in which the learning rate falls; by default {DECAY}, or 7/16 of a shorter run.",
)
@click.option(
    "--batch", type=_at_least_1, default=PROMPTS, show_default=True, help="Prompts in a batch, each with four answers."
)
@click.option(
    "--groups", type=_at_least_1, default=GROUPS, show_default=True, help="Groups of similar length in a batch."
)
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), default=LEARNING_RATE, show_default=True)
@click.option(
    "--warmup",
    type=_at_least_0,
    help=f"Steps in which the learning rate rises; by default {WARMUP}, or a tenth of a shorter run.",
)
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="cuda", show_default=True)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop after so many minutes, with a checkpoint to go on from.",
)
@click.option("--piece", type=_at_least_1, help="Stop after so many steps, with a checkpoint to go on from.")
@click.option(
    "--checkpoint-every", type=_at_least_0, default=1000, show_default=True, help="Steps between checkpoints."
)
@click.option(
    "--workers",
    type=_at_least_0,
    help=f"Processes that make batches; by default none for a CPU, else one for each core but two, {WORKERS} at most.",
)
@click.option("--log-every", type=_at_least_1, default=100, show_default=True)
def train(
    directory: Path,
    output: Path,
    steps: int,
    decay: int | None,
    batch: int,
    groups: int,
    learning_rate: float,
    warmup: int | None,
    seed: int,
    device: str,
    minutes: float | None,
    piece: int | None,
    checkpoint_every: int,
    workers: int | None,
    log_every: int,
) -> None:
    """Train the model; called again with the same output directory, it goes on from the last checkpoint."""
    from .batches import BatchShape
    from .tokenizer import load_backend
    from .training import Piece, Trainer, TrainingConfig

    decay = min(DECAY, 7 * steps // 16) if decay is None else decay
    warmup = min(WARMUP, steps // 10) if warmup is None else warmup
    if warmup + decay > steps:
        raise ValueError(f"--warmup {warmup} and --decay {decay} are together more than --steps {steps}")
    _check_device(device)
    # What would otherwise show after the first step, or the last one.
    load_backend(directory)
    if not os.access(directory, os.W_OK):
        raise ValueError(f"{directory}: the trained model cannot be written there")
    config = TrainingConfig(
        steps=steps,
        decay=decay,
        learning_rate=learning_rate,
        warmup=warmup,
        seed=seed,
        shape=BatchShape(prompts=batch, groups=groups),
    )
    if workers is None:
        workers = 0 if device == "cpu" else max(1, min(WORKERS, (os.cpu_count() or 1) - 2))
    how = Piece(device, minutes, piece, checkpoint_every, workers, log_every)
    complete = Trainer(config, directory, output, how).run(click.echo)
    click.echo(f"{directory}: the model is trained" if complete else f"{output}: stopped; call again to go on")


@main.command()
@_directory
@click.option("--out", "output", type=click.Path(path_type=Path), required=True, help="File of predictions to write.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--task", "tasks", multiple=True, help="A task; by default all that can be evaluated here.")
@_samples
@click.option(
    "--batch-size", type=_at_least_1, default=100, show_default=True, help="Rows at a time; a GPU takes a thousand."
)
@click.option("--setting", "settings", multiple=True, help="A scheduler with its parameters, such as confidence:k=4.")
def predict(
    directory: Path,
    output: Path,
    device: str,
    tasks: tuple[str, ...],
    samples: int | None,
    batch_size: int,
    settings: tuple[str, ...],
) -> None:
    """Answer the questions of test under each setting, greedily."""
    from .predictions import SPECIFICATIONS, evaluated_tasks, write_predictions

    write_predictions(
        directory,
        output,
        device=device,
        tasks=tasks or evaluated_tasks(),
        specifications=settings or SPECIFICATIONS,
        samples=samples,
        batch_size=batch_size,
        report=click.echo,
    )


@main.command()
@_directory
@click.option("--out", "output", type=click.Path(path_type=Path), required=True, help="File of predictions to write.")
@click.option("--task", "tasks", multiple=True, default=("waiting_line_shuffle", "waiting_line_replace_random"))
@_samples
@click.option("--setting", "settings", multiple=True, default=tuple(f"random:k={k}" for k in (1, 2, 4, 8)))
def ideal(
    directory: Path, output: Path, tasks: tuple[str, ...], samples: int | None, settings: tuple[str, ...]
) -> None:
    """Answer the same questions with the ideal model, in the tokens of the reference model."""
    from .predictions import write_ideal_predictions

    write_ideal_predictions(directory, output, tasks=tasks, specifications=settings, samples=samples, report=click.echo)


@main.command()
@_directory
@click.option(
    "--out", "output", type=click.Path(path_type=Path), required=True, help="Where the run's checkpoints are."
)
def export(directory: Path, output: Path) -> None:
    """Export the last checkpoint of a run that is not complete."""
    from .training import export_checkpoint

    step = export_checkpoint(output, directory)
    click.echo(f"{directory}: the model as it was after step {step}")


@main.command()
@_directory
@click.argument("predictions", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def card(directory: Path, predictions: tuple[Path, ...]) -> None:
    """Score PREDICTIONS, files of `predict` and `ideal`, and write the model's card."""
    from hub_dataset.disk import write_atomically

    from .card import card_text
    from .predictions import check_predictions, read_predictions
    from .scoring import score_predictions

    records = [record for path in predictions for record in read_predictions(path)]
    check_predictions(records, directory)
    text = card_text(directory, score_predictions(records))
    write_atomically(directory / "README.md", text.encode())
    click.echo(f"{directory / 'README.md'}: written")


def _check_device(device: str) -> None:
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = ""
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"--device {device} is neither cpu nor a GPU such as cuda or cuda:1")
    if kind == "cuda" and (torch.device(device).index or 0) >= torch.cuda.device_count():
        raise ValueError(f"--device {device}: torch sees {torch.cuda.device_count()} CUDA devices here; cpu is slow")


if __name__ == "__main__":
    main()
