"""The command `parallelbench damage`."""

from __future__ import annotations

from typing import Any

import click

from benchmark.cli import options


@click.command(name="damage")
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
@click.option("--output", type=click.Path(), callback=options.path, help="Also write the numbers to this JSON file.")
def command(**arguments: Any) -> None:
    """Damage the dataset's texts as parallel decoding does, and show how much of it each score of text sees.

    Tells which text score to trust. Takes LanguageTool (Java 17 or newer) and, for the column of that name, Link
    Grammar.

    \b
    Example:
      parallelbench damage --texts summaries --samples 50
    """
    from benchmark.studies.damage_study import run_study

    run_study(**arguments)
