"""The data command line: lists the tasks, builds the dataset, checks it, shares it."""

import click

from . import OneLineErrors
from .building import build
from .checking import check
from .looking import list_tasks, show
from .sharing import import_data, install, publish


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Make the ParallelBench dataset.

    \b
    Example: build all tasks and load one of them
      python generate_tasks.py build
      python -c "import datasets; print(datasets.load_dataset('build/parallelbench', 'waiting_line_copy'))"
    """


for command in (list_tasks, show, build, check, install, publish, import_data):
    main.add_command(command)
