"""Options that several commands have, the checks of their values, and where commands print."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.protocol.tasks import Catalogue


def finite(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse infinity and NaN."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number.")
    return value


def batch_size(context: click.Context, parameter: click.Parameter, value: str) -> int | None:
    """A number of rows, or None for `auto`."""
    if value == "auto":
        return None
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{value} is neither auto nor a number of at least 1.")
    return int(value)


def not_blank(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse a text without a letter."""
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty; leave it out for the default.")
    return value


def path(context: click.Context, parameter: click.Parameter, value: str | None) -> Path | None:
    """A path; an empty text is most likely a variable that is not set, and would mean the current directory."""
    if value == "":
        raise click.BadParameter("it is empty; name a directory.")
    return None if value is None else Path(value)


def paths(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Path, ...]:
    """Several of them."""
    return tuple(found for value in values if (found := path(context, parameter, value)) is not None)


def chat_options(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
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
                f'{name}={value}: {value} is not JSON; write true, false, null, a number or "text" in quotes.'
            ) from None
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


#: Where the commands keep whether tracebacks are wanted, in `click.Context.meta`.
DEBUG = "benchmark.cli.debug"


def _keep_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    context.meta[DEBUG] = value or context.meta.get(DEBUG, False)


debug = click.option(
    "--debug", is_flag=True, expose_value=False, is_eager=True, callback=_keep_debug, help="Show tracebacks of errors."
)
config = click.option(
    "--config",
    type=click.Path(),
    callback=path,
    metavar="FILE",
    help="A YAML file with tasks of your own, as `generate_tasks.py build --config` takes it.",
)
chat_option = click.option(
    "--chat-option",
    "chat_options",
    metavar="NAME=JSON",
    multiple=True,
    callback=chat_options,
    help="What chat templates are told, as in enable_thinking=false; repeatable.",
)
base_url = click.option(
    "--base-url", callback=not_blank, metavar="URL", help="Address of the server of api: models, up to /v1."
)
concurrency = click.option(
    "--concurrency",
    type=click.IntRange(min=1, max=1024),
    default=16,
    show_default=True,
    help="Requests that api: models have in flight.",
)
timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    default=300.0,
    show_default=True,
    help="Seconds of silence after which a request to a server is made again.",
)
log_requests = click.option(
    "--log-requests",
    type=click.Path(dir_okay=False),
    callback=path,
    metavar="FILE",
    help="Add requests to servers and their answers to this file, without headers.",
)
temperature = click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    callback=finite,
    help="Of the proposals; by default the model's own.",
)
dtype = click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="Of weights; by default float32 on a CPU, else the checkpoint's.",
)
seed = click.option("--seed", type=int, default=0, show_default=True, help="Another seed gives other samples.")
max_new_tokens = click.option(
    "--max-new-tokens",
    type=click.IntRange(min=1),
    help="Length of the answers; by default the task's, or what the model needs at least (reference: 64).",
)
block_length = click.option(
    "--block-length", type=click.IntRange(min=1), help="Length of the blocks, for all schedulers that name none."
)

published = click.option(
    "--published",
    is_flag=True,
    help="Draw the paper's curves behind those of the plots, in grey; report.html has a switch for them.",
)


def catalogue(given: str | Path | None) -> Catalogue:
    """The tasks that can be named, those of a user's file among them."""
    from benchmark.protocol.tasks import Catalogue

    return Catalogue(None if given is None else Path(given))


def console() -> Console:
    """Where commands print."""
    from rich.console import Console

    found = Console(highlight=False)
    # A pipe has no width of its own, and what is written there should not be cut to 80 columns.
    return found if found.is_terminal else Console(highlight=False, width=110)
