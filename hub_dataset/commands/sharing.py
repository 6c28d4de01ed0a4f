"""The commands that bring data in and out: `import`, `install` and `publish`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import click

from ..installing import NAME
from ..parts import METRIC
from .shared import config_option, progress, refuse_idle_rows, rows_option, selected_tasks, splits_option


@click.command("import")
@click.argument("source")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Directory to write.")
@click.option("--skip-unknown", is_flag=True, help="Leave out rows of an unknown form, and say which.")
def import_data(source: str, output: Path, skip_unknown: bool) -> None:
    """Turn the original ParallelBench data into a directory that load_dataset reads.

    SOURCE is a checkout of the original project, a folder of its rows as JSON lines, or a dataset on the Hub
    (`owner/name`, with `@revision` if wanted). Configs are called `original_<group>_<task>`, those of the later edition
    `original2026_<group>_<task>`. Rows of an unknown form are reported with file and line, and nothing is written.

    \b
    Examples:
      python generate_tasks.py import ../ParallelBench --output build/original
      python generate_tasks.py import furiosa-ai/ParallelBench --output build/original2026
    """
    from ..checks import load_scorer
    from ..importing import MOST_NAMED, UnknownRowsError, import_original

    problems: list[str] = []
    try:
        # The metric takes seconds to load: only where there is something to score.
        load = cache(lambda: load_scorer(METRIC))
        imported = import_original(source, output, score=lambda *columns: load()(*columns), skip_unknown=skip_unknown)
        problems = imported.skipped
    except UnknownRowsError as error:
        problems = error.problems
        raise ValueError(f"{error}; --skip-unknown leaves them out") from None
    finally:
        for problem in problems[:MOST_NAMED]:
            click.echo(problem, err=True)
        if len(problems) > MOST_NAMED:
            click.echo(f"... and {len(problems) - MOST_NAMED} more", err=True)
    left_out = f", {len(problems)} rows or tasks left out" if problems else ""
    click.echo(f"{output}: {sum(imported.counts.values())} rows, {len(imported.counts)} tasks{left_out}")


@click.command()
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
@splits_option
@rows_option
@config_option
def install(tasks: tuple[str, ...], splits: tuple[str, ...], rows: int | None, config: Path | None) -> None:
    """Install the dataset and the metric, so that both load by their bare name, also offline.

    From any directory that has no folder called parallelbench, which would be loaded in their place. Into the caches of
    datasets and evaluate (HF_HOME), in place of what was installed there before.

    \b
    Examples:
      python generate_tasks.py install
      python -c "import datasets; print(datasets.load_dataset('parallelbench', 'waiting_line_copy'))"
      python generate_tasks.py install --split test --split train --rows 2000
    """
    splits = splits or ("test",)
    refuse_idle_rows(rows, splits)
    from ..installing import install as install_all

    selected = selected_tasks(tasks, (), config)
    left_out: list[str] = []
    built: set[str] = set()
    with progress("installing", len(selected)) as advance:

        def count_config(name: str, rows: int) -> None:
            advance()
            if rows:
                built.add(name)

        count = install_all(
            selected, metric=METRIC, splits=splits, rows=rows, on_config=count_config, on_skip=left_out.append
        )
    for message in left_out:
        click.echo(message, err=True)
    click.echo(
        f"installed {count} rows ({', '.join(splits)}), {len(built)} tasks, and the metric, both under the name {NAME}"
    )
    if "train" not in splits and any("train" in task.splits for task in selected if task.name in built):
        click.echo("train is not among them; install --split test --split train --rows 2000 brings both")
    click.echo("without a network, set HF_HUB_OFFLINE=1: else the Hub is asked for that name first, several times")
    if Path(NAME).is_dir():
        click.echo(f"not here, though: load_dataset({NAME!r}) takes the folder {Path(NAME).resolve()} first", err=True)


@click.command()
@click.option(
    "--repo", metavar="OWNER/NAME", help="Repository of the dataset.  [default: parallelbench of your account]"
)
@click.option("--space", metavar="OWNER/NAME", help="Space of the metric.  [default: the name of the dataset]")
@click.option(
    "--model", metavar="OWNER/NAME", help="Repository of the model.  [default: parallelbench-model of the same owner]"
)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(["dataset", "metric", "model"]),
    help="What to publish; repeatable.  [default: all that is there]",
)
@click.option("--dry-run", is_flag=True, help="Show what would be uploaded; needs no token and no network.")
def publish(repo: str | None, space: str | None, model: str | None, only: tuple[str, ...], dry_run: bool) -> None:
    """Publish the dataset, the metric and the reference model on the Hugging Face Hub.

    One commit each, then a tag: the data's version, for the model its own. A tag never moves: publishing the same
    content again does nothing, other content needs a new version. The model is what lies in hub_model/, and is left out
    where no whole one does. The token is the one of `hf auth login` or HF_TOKEN.

    \b
    Examples:
      python generate_tasks.py publish --dry-run
      python generate_tasks.py publish --repo my-organisation/parallelbench
      python generate_tasks.py publish --only model
    """
    import tempfile

    from .. import publishing

    for option, given, part in (("--space", space, "metric"), ("--model", model, "model")):
        if given and only and part not in only:
            raise ValueError(f"{option} {given} has no effect without --only {part}")
    parts = only or ("dataset", "metric", "model")
    owner = publishing.UNKNOWN_OWNER if dry_run else publishing.find_owner()
    repo = repo or f"{owner}/{NAME}"
    uploads = []
    with tempfile.TemporaryDirectory() as folder:
        if "dataset" in parts:
            uploads.append(publishing.dataset_upload(Path(folder), selected_tasks(), repo, on_skip=_say))
        if "metric" in parts:
            uploads.append(publishing.metric_upload(space or repo))
        if "model" in parts:
            try:
                uploads.append(publishing.model_upload(model or f"{repo.split('/')[0]}/{NAME}-model"))
            except FileNotFoundError as error:  # it comes last, and data can do without it
                if only or model:
                    raise
                _say(f"the model is left out: {error}")
        for upload in uploads:
            target = f"{upload.repo_type} {upload.repo_id}"
            if dry_run:
                click.echo(f"{target}: {len(upload.files)} files, tag {upload.tag}")
                click.echo("\n".join(upload.lines()))
            else:
                click.echo(f"{target}: {publishing.publish(upload)}")


def _say(message: str) -> None:
    click.echo(message, err=True)
