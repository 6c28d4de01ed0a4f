"""The command line `parallelbench`: a file a command, imported when the command is called."""

from __future__ import annotations

import traceback
from importlib import import_module
from typing import Any

import click

from benchmark.cli.options import DEBUG, debug
from hub_dataset.commands import OneLineErrors

#: Command → what the list of commands says of it. The module of that name has it, under the name `command`.
COMMANDS = {
    "run": "Run models x tasks x methods, then print the table.",
    "report": "Print the table and redraw the plots of a run, or of several.",
    "compare": "Say what changed from one run to another, question by question.",
    "publish": "Publish a run and its entry of the leaderboard on the Hub.",
    "list": "List tasks, schedulers, models and grids.",
    "watch": "Decode one question and show every step.",
    "damage": "Show how much damage each score of text sees.",
    "serve": "Offer a model under a method as a chat-completions server.",
    "lm-eval": "Run lm-eval, which then knows our models and methods.",
    "lm-eval-tasks": "Write the benchmark's tasks as files of lm-eval.",
}
# A module called list would hide the built-in one here.
_MODULES = {"list": "listing", "lm-eval": "lm_eval", "lm-eval-tasks": "lm_eval_tasks"}


class LazyCommands(OneLineErrors):
    """Commands that are imported when called; errors in code of the user's own are one line with their place."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (click.ClickException, click.exceptions.Exit, click.exceptions.Abort):
            raise
        except Exception as error:
            from benchmark.protocol.user_code import UserCodeError, place_of_error

            if context.meta.get(DEBUG):
                traceback.print_exception(error)
            place = place_of_error(error)
            if place is None and not isinstance(error, UserCodeError):
                raise
            message = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            line = message if place is None else f"{place}: {message}"
            raise click.ClickException(f"{line} (--debug shows the traceback)") from error

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"benchmark.cli.{_MODULES.get(name, name)}").command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyCommands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="parallelbench")
@debug
@click.pass_context
def main(context: click.Context) -> None:
    """Measures how much quality a diffusion LLM loses when it decodes several tokens per step.

    \b
    Example:
      parallelbench run
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
