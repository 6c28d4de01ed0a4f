"""The command `parallelbench compare`: what changed from one run to another, and how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.cli import options as shared

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from benchmark.analysis.comparison import Comparison, Flip


def flip_table(flip: Flip, *, colours: bool) -> Table:
    """How both answers to a question were decoded, step beside step; steps behind the answers' ends are left out."""
    from benchmark.cli.drawing import answer_line
    from benchmark.cli.frames import Frame, frames_of
    from benchmark.report.tables import literal, new_table

    def frames(sample: object) -> dict[int, Frame]:
        assert isinstance(sample, dict)
        tokens, steps = sample.get("tokens"), sample.get("commit_steps")
        if not tokens or not steps:
            return {}
        shown = {**sample, "commit_steps": steps[: len(tokens)]}
        return {frame.number + 1: frame for frame in frames_of(shown)}

    before, after = flip.pair.before, flip.pair.after
    model, method = (str(before[at]) if before[at] == after[at] else f"{before[at]} → {after[at]}" for at in (0, 2))
    table = new_table(literal(f"{flip.question} · {model} on {before[1]} under {method}"))
    table.add_column("step", justify="right")
    sides = (("first", flip.before), ("second", flip.after))
    for name, answer in sides:
        table.add_column(f"{name} run: {100 * answer['scores']['headline']:.0f}", overflow="fold", ratio=1)
    found = [frames(answer) for _, answer in sides]
    for step in sorted(found[0].keys() | found[1].keys()):
        cells = [answer_line(of_side[step], colours=colours) if step in of_side else "" for of_side in found]
        table.add_row(str(step), *cells)
    table.add_row("", *(literal(str(answer["prediction"])) for _, answer in sides))
    return table


def show_comparison(comparison: Comparison, console: Console, shown: int) -> None:
    """Print a comparison, with the decoding of as many flips, those that lost most first."""
    from benchmark.report.comparison import comparison_tables

    for which, run in (("first run, before", comparison.first), ("second run, after", comparison.second)):
        console.print(f"{which}: {run}", soft_wrap=True, markup=False)
    for note in comparison.notes:
        console.print(note, soft_wrap=True, markup=False)
    for table in comparison_tables(comparison):
        console.print(table)
        console.print()
    lost = sum(flip.change < 0 for flip in comparison.flips)
    console.print(f"{len(comparison.flips)} answers flipped: {len(comparison.flips) - lost} gained, {lost} lost")
    for flip in comparison.flips[:shown]:
        console.print()
        console.print(flip_table(flip, colours=console.is_terminal))


@click.command(name="compare")
@click.argument("first", metavar="RUN", type=click.Path(), callback=shared.path)
@click.argument("second", metavar="RUN", type=click.Path(), callback=shared.path)
@click.option(
    "--show", type=click.IntRange(min=0), default=2, show_default=True, help="How many flipped answers to show."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all flips, and nothing else.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a line for each setting, and nothing else.")
@click.option(
    "--fail-below",
    type=float,
    callback=shared.finite,
    metavar="X",
    help="Exit with 1 where the mean difference over all tasks is below X points, as in --fail-below=-1.",
)
def command(first: Path, second: Path, show: int, as_json: bool, as_csv: bool, fail_below: float | None) -> None:
    """Say what changed from the first RUN to the second, question by question.

    Answers to the same question under the same model and method are held against each other; where the runs have one
    model each, or one method, these may differ. What cannot be matched is left out, and said in a line.

    \b
    Example:
      parallelbench compare results/before results/after
      parallelbench compare results/before results/after --json --fail-below=-1
    """
    from benchmark.analysis.comparison import compare_runs
    from benchmark.report.comparison import comparison_csv, comparison_json

    if as_json and as_csv:
        raise click.UsageError("--json and --csv do not go together; name one.")
    comparison = compare_runs(first, second)
    if as_json:
        click.echo(json.dumps(comparison_json(comparison), indent=1, allow_nan=False))
    elif as_csv:
        click.echo(comparison_csv(comparison), nl=False)
    else:
        show_comparison(comparison, shared.console(), show)
    # Of a mean over tasks, the last digits are none of anybody's.
    difference = round(comparison.overall.difference, 6)
    if fail_below is not None and difference < fail_below:
        click.echo(f"the mean difference of {difference:+.2f} points is below {fail_below:g}", err=True)
        raise SystemExit(1)
