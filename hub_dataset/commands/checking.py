"""The command `check`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..parts import METRIC
from .shared import InputError, config_option, progress, selected_tasks


@click.command()
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
@click.option(
    "--task", "options", multiple=True, metavar="TASK", help="A task to check, like the arguments; repeatable."
)
@config_option
@click.option(
    "--tokenizer",
    metavar="NAME_OR_DIR",
    help="A model's tokenizer, on the Hub or in a directory: every answer must fit into the new tokens with it.",
)
@click.option("--update", is_flag=True, help="First record the checksums of all tasks as they are built now.")
def check(
    tasks: tuple[str, ...], options: tuple[str, ...], config: Path | None, tokenizer: str | None, update: bool
) -> None:
    """Rebuild tasks (all of them by default) and check what must hold for their rows.

    Checksums, schema, ids, no question twice, no question of test in train or validation, and every answer scores 100
    against its own reference; answers of open text tasks must differ from the text and be grammatical. Exits with 1
    where something is wrong, and says what. With --tokenizer, shows how many tokens the answers of each task take; all
    of them must fit into its new tokens with their end token. Says, too, what cannot be built or checked here, for want
    of a network or a LanguageTool server.

    \b
    Examples:
      python generate_tasks.py check
      python generate_tasks.py check waiting_line_shuffle
      python generate_tasks.py check --config my_tasks.yaml
      python generate_tasks.py check --config my_tasks.yaml --tokenizer Qwen/Qwen2.5-7B-Instruct
    """
    if update and config is not None:
        raise InputError(f"--update records the benchmark's own tasks, not those of {config}; leave out one of the two")
    from ..checks import load_scorer, problems_of_config, read_checksums, write_checksums
    from ..fit import fit_of_config, token_counter
    from ..grammar import grammar_checker
    from ..unavailable import UnavailableError

    names = selected_tasks(tasks, options, config)
    # What cannot be read is said before the rows are made.
    count_tokens = token_counter(tokenizer) if tokenizer is not None else None
    if update:
        write_checksums()
    recorded = read_checksums() if config is None else None
    # The metric takes seconds to load: only where there is something to score.
    exact = any(not task.task_type.open_ended for task in names)
    score = load_scorer(METRIC) if exact else None
    problems: list[str] = []
    left_out: list[str] = []
    unbuilt: list[str] = []
    counted: list[str] = []
    grammar = None
    if any(task.task_type.is_text for task in names):
        try:
            grammar = grammar_checker()
        except UnavailableError as error:
            left_out.append(f"the grammar of answers is not checked: {error}")
    with progress("checking", len(names)) as advance:
        for task in names:
            try:
                problems += problems_of_config(task, recorded, score, grammar)
                if count_tokens is not None:
                    line, problem = fit_of_config(task, count_tokens)
                    counted.append(line)
                    problems += [f"{task.name}: with {tokenizer}, {problem}"] if problem else []
            except UnavailableError as error:
                unbuilt.append(f"{task.name} is left out: {error}")
            else:
                if task.from_hub and recorded is not None and task.name not in recorded:
                    left_out.append(f"{task.name} is not compared: no checksum is recorded; --update records it")
            advance()
    if counted:
        click.echo("\n".join([f"tokens of the answers with {tokenizer}, and the new tokens that they have:", *counted]))
    for message in (*left_out, *unbuilt):
        click.echo(message, err=True)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        click.echo(f"{len(problems)} problems in {len(names)} tasks", err=True)
        sys.exit(1)
    count = len(names) - len(unbuilt)
    checked = "" if config is not None else "checksums, "
    click.echo(f"{count} tasks are sound: {checked}schema, distinct questions, splits apart, answers right")
