"""The command line: `tokenizer`, `train`, `export` and `card`, in the order in which the model is made."""

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


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Make the reference model: a tokenizer, then weights, then, from runs of `parallelbench`, its card."""


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
    # Errors that would otherwise come after the first step, or the last one.
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
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
def card(directory: Path, runs: tuple[Path, ...]) -> None:
    """Write the model's card from RUNS, directories of `parallelbench run`.

    The runs are of the model, and of the ideal model in its tokens. The shipped card says under "How it was made" which
    ones it comes from.

    \b
    Example:
      parallelbench run --model reference --dtype float32 --output build/own
      parallelbench run --model ideal:reference --model ideal-greedy:reference --output build/ideal
      python -m training card build/own build/ideal
    """
    from hub_dataset.disk import write_atomically

    from .card import card_text, read_runs

    text = card_text(directory, read_runs(directory, runs))
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
        raise ValueError(
            f"--device {device}: torch sees {torch.cuda.device_count()} CUDA devices here; --device cpu works, slowly"
        )


if __name__ == "__main__":
    main()
