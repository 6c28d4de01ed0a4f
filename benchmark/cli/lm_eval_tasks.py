"""The command `parallelbench lm-eval-tasks`: the benchmark's tasks as files of lm-eval."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.cli import options as shared

#: Groups of the tasks that the paper has.
SEVENTEEN = ("waiting_line", "words_to_sentence", "paraphrase_summarize", "puzzle")


@click.command(name="lm-eval-tasks")
@click.option("--task", "tasks", multiple=True, help="Task, pattern or group, as `run` takes them; by default all 17.")
@click.option("--output", type=click.Path(), callback=shared.path, required=True, help="Directory of the files.")
@click.option("--samples", type=click.IntRange(min=1), help="Only the first so many questions of each task.")
def command(tasks: tuple[str, ...], output: Path, samples: int | None) -> None:
    """Write tasks for lm-eval, generated from the dataset: `lm_eval --include_path DIRECTORY --tasks parallelbench`.

    \b
    Example:
      parallelbench lm-eval-tasks --task waiting_line --output lm_eval_tasks
      parallelbench lm-eval --include_path lm_eval_tasks --tasks parallelbench --model parallelbench \\
        --model_args pretrained=reference,scheduler=threshold:threshold=0.9 --apply_chat_template
    """
    from benchmark.integrations.lm_eval_tasks import write_tasks
    from hub_dataset.unavailable import UnavailableError

    catalogue = shared.catalogue(None)
    rows = {}
    for name in catalogue.resolve(tasks or SEVENTEEN):
        try:
            rows[name] = catalogue[name].load(samples)
        except UnavailableError as error:
            if tasks:
                raise
            # Nobody named it, and what it takes is not here: texts of a public dataset, or a grammar checker.
            click.echo(f"left out: {name}: {error}")
    written = write_tasks(rows, output)
    click.echo(f"{len(written) - 1} tasks in {output}: lm_eval --include_path {output} --tasks parallelbench")
