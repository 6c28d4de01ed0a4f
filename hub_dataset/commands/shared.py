"""What the commands share: which tasks are meant, progress, and errors of one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from .encoding import encode_anything

if TYPE_CHECKING:
    from ..configs import TaskConfig


class InputError(click.ClickException):
    """Something the user gave is wrong: one line, exit code 2."""

    exit_code = 2


class OneLineErrors(click.Group):
    """Commands of which users get one line and exit code 2 for what they got wrong, and for what the system refuses."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        encode_anything()
        try:
            return super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.exceptions.Abort as error:
            # What stopped it may know better than that it was Ctrl-C.
            sys.exit(getattr(error.__cause__, "exit_code", 130))
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.ClickException as error:
            _fail(error.format_message())
        except OSError as error:
            _fail(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))
        except ValueError as error:
            _fail(str(error))


def _fail(message: str) -> NoReturn:
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    sys.exit(2)


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[], None]]:
    """A bar of `length` steps in a terminal; gives the function that advances it by one."""
    # Only for someone who watches: a log or a pipe gets results and errors alone.
    if not sys.stderr.isatty():
        yield lambda: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr, show_pos=True) as bar:
        yield lambda: bar.update(1)


def selected_tasks(
    arguments: tuple[str, ...] = (), options: tuple[str, ...] = (), config: Path | None = None
) -> list[TaskConfig]:
    """The tasks of these names, or all of them: the benchmark's own, or those of the user's file `config`."""
    from ..configs import config_names, task_info

    names = [*arguments, *options]
    if config is not None:
        from ..custom import read_custom_tasks, select_tasks

        return select_tasks(read_custom_tasks(config), config, names)
    return list({task_info(name).name: task_info(name) for name in names or config_names()}.values())


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A YAML file with tasks of your own, which are then meant in place of the benchmark's.",
)
splits_option = click.option(
    "--split",
    "splits",
    multiple=True,
    type=click.Choice(["test", "train", "validation"]),
    show_default="test, with --format sft train",
    help="A split to make; repeatable.",
)
rows_option = click.option(
    "--rows", type=click.IntRange(min=1), help="Rows of train and validation per task; test has a fixed number."
)


def refuse_idle_rows(rows: int | None, splits: tuple[str, ...]) -> None:
    """Raises InputError for a number of rows where only `test` is made."""
    if rows is not None and set(splits) == {"test"}:
        raise InputError(f"--rows {rows} has no effect on test, whose rows are fixed; add --split train or validation")
