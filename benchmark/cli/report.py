"""The command `parallelbench report`, and the report that `run` ends with."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.cli import options


def show_report(*directories: Path, output: Path | None = None, published: bool = False) -> None:
    """Write the report of a run, or of several into `output`, and print its tables; `published` as in `write_report`.

    Raises:
        ValueError: a directory holds no run, or the runs do not go into one report.
    """
    from benchmark.report.writing import write_report

    console = options.console()
    if console.is_terminal:
        with console.status("drawing the plots"):
            written = write_report(*directories, output=output, published=published)
    else:
        written = write_report(*directories, output=output, published=published)
    for part in written.renderables():
        console.print(part)
    if written.missing_line:
        console.print(written.missing_line)
    console.print(
        f"{len(written.files)} files in {written.directory}: report.html, summary.json, summary.csv, plots/*.png",
        soft_wrap=True,
        markup=False,
    )


@click.command(name="report")
@click.argument(
    "directories", metavar="DIRECTORY...", nargs=-1, required=True, type=click.Path(), callback=options.paths
)
@click.option(
    "--output",
    type=click.Path(),
    callback=options.path,
    help="Where the report goes; by default the run's own directory. Several runs need one.",
)
@options.published
def command(directories: tuple[Path, ...], output: Path | None, published: bool) -> None:
    """Print the table and redraw the plots of a run, from its DIRECTORY alone.

    Several runs are shown in one report, their models side by side. They must have been run with the same seed,
    temperature and number of new tokens on the same questions; what two of them have both must be the same.

    \b
    Example:
      parallelbench report results/my-run
      parallelbench report results/my-run results/ideal-run --output results/both
    """
    if len(directories) > 1 and output is None:
        raise click.UsageError("several runs need a directory for their report: add --output DIRECTORY.")
    show_report(*directories, output=output, published=published)
