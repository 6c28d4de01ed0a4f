"""The command line `parallelbench`: run, report, list, watch, damage."""

import json
import math
from pathlib import Path
from typing import Any

import click

from hub_dataset.commands import OneLineErrors

RESULTS = Path("results")


def _finite(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number.")
    return value


def _batch_size(context: click.Context, parameter: click.Parameter, value: str) -> int | None:
    """A number of rows, or None for `auto`."""
    if value == "auto":
        return None
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{value} is neither auto nor a number of at least 1.")
    return int(value)


def _not_blank(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty; leave it out for the newest.")
    return value


def _not_empty(context: click.Context, parameter: click.Parameter, value: str | None) -> Path | None:
    # An empty text is most likely a variable that is not set, and as a path it would mean the current directory.
    if value == "":
        raise click.BadParameter("it is empty; name a directory.")
    return None if value is None else Path(value)


def _none_empty(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Path, ...]:
    return tuple(path for value in values if (path := _not_empty(context, parameter, value)) is not None)


def _chat_options(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    """Name → value of `name=value`, the value as JSON has it."""
    found: dict[str, Any] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise click.BadParameter(f"cannot read {text!r}; write NAME=VALUE, as in enable_thinking=false.")
        if name in found:
            raise click.BadParameter(f"{name} is given twice.")
        try:
            found[name] = json.loads(value, parse_constant=_no_constant)
        except ValueError:
            raise click.BadParameter(
                f'{name}={value}: {value} is no JSON; write true, false, null, a number or "text" in quotes.'
            ) from None
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


_chat_option = click.option(
    "--chat-option",
    "chat_options",
    metavar="NAME=JSON",
    multiple=True,
    callback=_chat_options,
    help="What chat templates are told, as in enable_thinking=false; repeatable.",
)
_temperature = click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    callback=_finite,
    help="Of the proposals; by default the model's own.",
)
_dtype = click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="Of weights; by default float32 on a CPU, else the checkpoint's.",
)


@click.group(
    cls=OneLineErrors,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="parallelbench")
@click.pass_context
def main(context: click.Context) -> None:
    """Measures how much quality a diffusion LLM loses when it decodes several tokens per step.

    \b
    Example:
      parallelbench run
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@main.command(short_help="Run models x schedulers x tasks, then print the table.")
@click.option(
    "--model",
    "models",
    multiple=True,
    help="ideal, reference, a directory, or owner/name[@revision] on the Hub; repeatable.",
)
@click.option("--task", "tasks", multiple=True, help="Task, or a pattern such as 'waiting_line_*'; repeatable.")
@click.option(
    "--scheduler",
    "schedulers",
    multiple=True,
    help="Scheduler by name: the protocol's sweep of it; or with parameters, as in entropy:k=4. Repeatable.",
)
@click.option("--samples", type=click.IntRange(min=1), help="Only the first so many questions of each task.")
@click.option("--full", is_flag=True, help="Without --model: all tasks, settings and questions, not a selection.")
@click.option("--block-length", type=click.IntRange(min=1), help="Length of the blocks, for all schedulers.")
@click.option(
    "--max-new-tokens",
    type=click.IntRange(min=1),
    help="Length of the answers; by default the task's, or what the model needs at least (reference: 64).",
)
@_temperature
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed gives other samples.")
@click.option(
    "--batch-size",
    callback=_batch_size,
    default="auto",
    show_default=True,
    help="Rows per forward pass; auto: as many as there is memory for. Halved where memory runs out.",
)
@_dtype
@click.option("--device", help="cpu, cuda, cuda:1 ...; auto: all GPUs together. By default a GPU if there is one.")
@click.option("--revision", callback=_not_blank, help="Branch, tag or commit on the Hub, for models that name none.")
@_chat_option
@click.option("--compile", "compiled", is_flag=True, help="Compile models with torch.compile.")
@click.option("--output", type=click.Path(), callback=_not_empty, help="Directory of the run; else one in results/.")
@click.option("--fresh", is_flag=True, help="Start anew instead of going on with what is in the directory.")
def run(
    models: tuple[str, ...],
    tasks: tuple[str, ...],
    schedulers: tuple[str, ...],
    samples: int | None,
    full: bool,
    block_length: int | None,
    max_new_tokens: int | None,
    temperature: float | None,
    seed: int,
    batch_size: int | None,
    dtype: str | None,
    device: str | None,
    revision: str | None,
    chat_options: dict[str, Any],
    compiled: bool,
    output: Path | None,
    fresh: bool,
) -> None:
    """Run models x schedulers x tasks, then print the table and draw the trade-off.

    Run without options it takes the reference model that ships with the project beside the ideal model, on a selection
    of tasks, settings and questions that shows the effect in two minutes; --full takes them all. With --model it takes
    the twelve tasks whose answers can be enumerated, and all schedulers with the published protocol's settings. A run
    that was interrupted goes on when the same command is given again.

    \b
    Example:
      parallelbench run
      parallelbench run --task waiting_line_shuffle --scheduler entropy --scheduler threshold:threshold=0.8
      parallelbench run --model GSAI-ML/LLaDA-8B-Instruct --model ideal:GSAI-ML/LLaDA-8B-Instruct --device cuda
    """
    from benchmark.cli.commands import run_benchmark
    from benchmark.models.interface import ModelOptions

    run_benchmark(
        models=list(dict.fromkeys(models)),
        options=ModelOptions(dtype, device, revision, compiled, chat_options),
        task_patterns=list(tasks),
        specifications=list(schedulers),
        samples=samples,
        full=full,
        block_length=block_length,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        seed=seed,
        batch_size=batch_size,
        output=output,
        fresh=fresh,
        results=RESULTS,
    )


@main.command(short_help="Print the table and redraw the plots of a run, or of several.")
@click.argument("directories", metavar="DIRECTORY...", nargs=-1, required=True, type=click.Path(), callback=_none_empty)
@click.option(
    "--output",
    type=click.Path(),
    callback=_not_empty,
    help="Where the report goes; by default the run's own directory. Several runs need one.",
)
def report(directories: tuple[Path, ...], output: Path | None) -> None:
    """Print the table and redraw the plots of a run, from its DIRECTORY alone.

    Several runs are shown in one report, their models side by side. They must have been run with the same seed,
    temperature and number of new tokens on the same questions; what two of them have both must be the same.

    \b
    Example:
      parallelbench report results/my-run
      parallelbench report results/my-run results/ideal-run --output results/both
    """
    from benchmark.cli.commands import show_report

    if len(directories) > 1 and output is None:
        raise click.UsageError("several runs need a directory for their report: add --output DIRECTORY.")
    show_report(*directories, output=output)


@main.command(name="list", short_help="List tasks, schedulers and models.")
@click.argument("what", type=click.Choice(["tasks", "schedulers", "models"]), required=False)
def list_(what: str | None) -> None:
    """List tasks, schedulers and models, or one of the three.

    \b
    Example:
      parallelbench list schedulers
    """
    from benchmark.cli.listing import show_lists

    show_lists(what)


@main.command(short_help="Decode one question and show every step.")
@click.option("--task", required=True, help="Task, such as waiting_line_shuffle.")
@click.option("--row", type=click.IntRange(min=0), default=0, show_default=True, help="Number of the question.")
@click.option("--scheduler", default="confidence", show_default=True, help="Scheduler, as in entropy:k=4.")
@click.option("--model", default="ideal", show_default=True, help="Model, as for run.")
@click.option("--block-length", type=click.IntRange(min=1), help="Length of the blocks.")
@click.option("--max-new-tokens", type=click.IntRange(min=1), help="Length of the answer; by default as for run.")
@_temperature
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed gives other samples.")
@_dtype
@click.option("--device", help="cpu, cuda, cuda:1 ...; by default a GPU if there is one.")
@click.option("--revision", callback=_not_blank, help="Branch, tag or commit on the Hub.")
@_chat_option
@click.option(
    "--delay",
    type=click.FloatRange(min=0, max=60),
    callback=_finite,
    default=0.4,
    show_default=True,
    help="Seconds between two steps in a terminal; 0 prints all steps one under the other.",
)
@click.option("--save", type=click.Path(), callback=_not_empty, help="Keep all steps in a file: .svg or .txt.")
def watch(
    dtype: str | None, device: str | None, revision: str | None, chat_options: dict[str, Any], **arguments: Any
) -> None:
    """Decode one question and show every step: what was committed, what was masked again, what is still masked.

    Written to a file or a pipe, it marks them with brackets instead of colours.

    \b
    Example:
      parallelbench watch --task waiting_line_shuffle --row 3 --scheduler remdm:k=2
    """
    from benchmark.cli.watch import watch as show
    from benchmark.models.interface import ModelOptions

    show(**arguments, options=ModelOptions(dtype, device, revision, chat_options=chat_options))


@main.command(short_help="Show how much damage each score of text sees.")
@click.option(
    "--texts",
    "kinds",
    multiple=True,
    type=click.Choice(["sentences", "paraphrases", "summaries"]),
    help="Which texts of the dataset; by default all. Repeatable.",
)
@click.option("--samples", type=click.IntRange(min=1), help="Only the first so many texts of each task.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed does the damage elsewhere.")
@click.option("--grammar-url", help="A running LanguageTool server; by default one is started.")
@click.option("--bertscore", is_flag=True, help="Compute BLEU and BERTScore too, which takes an encoder.")
@click.option("--output", type=click.Path(), callback=_not_empty, help="Also write the numbers to this JSON file.")
def damage(
    kinds: tuple[str, ...],
    samples: int | None,
    seed: int,
    grammar_url: str | None,
    bertscore: bool,
    output: Path | None,
) -> None:
    """Damage the dataset's texts as parallel decoding does, and show how much of it each score of text sees.

    Tells which text score to trust. Takes LanguageTool (Java 17 or newer) and, for the column of that name, Link
    Grammar.

    \b
    Example:
      parallelbench damage --texts summaries --samples 50
    """
    from benchmark.studies.damage_study import run_study

    run_study(kinds=kinds, samples=samples, seed=seed, grammar_url=grammar_url, bertscore=bertscore, output=output)
