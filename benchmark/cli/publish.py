"""The command `parallelbench publish`: a run into a dataset of the Hub, which leaderboards read."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import click

from benchmark.cli import options as shared


@click.command(name="publish")
@click.argument("directory", metavar="RUN", type=click.Path(), callback=shared.path)
@click.option("--to", "repo_id", metavar="OWNER/NAME", required=True, help="Dataset on the Hub; made if need be.")
@click.option("--dry-run", is_flag=True, help="Only list what would be published; asks nobody.")
@click.option("--output", type=click.Path(), callback=shared.path, help="With --dry-run: write the files here.")
def command(directory: Path, repo_id: str, dry_run: bool, output: Path | None) -> None:
    """Publish a finished RUN: its samples, summary, environment and report, and an entry for the leaderboard.

    No paths, names of users and machines, or tokens are published: a model in a directory has the directory's last
    name, a service no address. It is one commit, and none where the run is there already. The Hub's token is that of
    `hf auth login`, or HF_TOKEN.

    \b
    Example:
      parallelbench publish results/my-run --to ada/parallelbench-runs --dry-run
    """
    from benchmark.leaderboard.files import LARGEST_PAGE, published_files
    from benchmark.leaderboard.uploading import upload_run
    from benchmark.store.runs import PAGE
    from hub_dataset.disk import write_atomically
    from hub_dataset.publishing import check_name

    if output is not None and not dry_run:
        raise click.UsageError("--output goes with --dry-run only.")
    check_name(repo_id)
    files = published_files(directory)
    if not any(path.endswith(f"/{PAGE}") for path in files):
        click.echo(f"{PAGE} is left out: it is larger than {LARGEST_PAGE // 1_000_000} MB")
    if not dry_run:
        click.echo(f"{repo_id}: {upload_run(files, repo_id)}")
        return
    for path, content in files.items():
        click.echo(f"{sha256(content).hexdigest()}  {len(content):>9}  {path}")
        if output is not None:
            write_atomically(output / path, content)
    click.echo(f"{len(files)} files would go to the dataset {repo_id}")
