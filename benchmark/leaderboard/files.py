"""The files of a run that are published: samples, summary, environment and entry, checked for what is private."""

from __future__ import annotations

import getpass
import json
import re
import socket
from collections.abc import Collection
from pathlib import Path
from typing import Any

from benchmark.analysis.summary import Summary, summarise
from benchmark.leaderboard.entries import environment_of, make_entry
from benchmark.leaderboard.public import PREFIX, PublicRun
from benchmark.protocol.settings import settings_groups, settings_keys
from benchmark.report.page.samples import SampleKeeper
from benchmark.report.page.writing import page_html
from benchmark.report.tables import notes
from benchmark.report.writing import summary_csv, summary_json
from benchmark.store.runs import PAGE, SAMPLES, file_name

#: A page that is larger than this (bytes) stays here: above it the Hub shows no file, and a browser is slow.
LARGEST_PAGE = 10_000_000

#: Names of users and machines that say nothing of anybody.
_COMMON = frozenset({"root", "user", "users", "ubuntu", "localhost", "runner", "docker", "admin", "home", "cpu", "gpu"})
_README = """---
pretty_name: Runs of ParallelBench
configs:
- config_name: entries
  data_files: entries/*.json
---

# Runs of ParallelBench

Published with `parallelbench publish`: `entries/` has a file for each run, which the leaderboard reads, and `runs/` its
summary, environment and samples, and its report as one page.
"""


def published_files(directory: str | Path) -> dict[str, bytes]:
    """Path in the repository → content, the same for the same run and versions of the libraries.

    Raises:
        ValueError: the directory holds no run or an unfinished one, or a file names a path, the user or this machine.
    """
    store = PublicRun(directory)
    keeper = SampleKeeper(len(settings_keys(settings_groups(store.read_settings()))))
    summary = summarise(store, keeper)
    missing = len(summary.keys) - len(summary.points)
    if missing:
        raise ValueError(f"{store.directory}: {missing} of {len(summary.keys)} settings are missing; run it to the end")
    numbers, lines = summary_json(summary), notes(summary)
    page = page_html(summary, numbers, keeper, lines)
    entry = make_entry(store, summary, has_page=len(page) <= LARGEST_PAGE)
    folder = f"runs/{entry['id']}"
    files = {
        "README.md": _README.encode(),
        f"entries/{entry['id']}.json": _json(entry),
        f"{folder}/environment.json": _json(environment_of(summary.settings)),
        f"{folder}/summary.json": _json(numbers),
        f"{folder}/summary.csv": summary_csv(summary).encode("utf-8", "backslashreplace"),
        **({f"{folder}/{PAGE}": page} if entry["report"] else {}),
        **{f"{folder}/{SAMPLES}/{path}": content for path, content in _samples(store, summary).items()},
    }
    private = _private_names(store)
    for path, content in files.items():
        told = content.decode("utf-8", "replace")
        if path.endswith(PAGE):
            # The plotting library holds whatever it holds; beside it the page has notes, and what other files have.
            told = re.sub(r"<script>.*?</script>", "", told, flags=re.DOTALL)
        of_samples = path.endswith(PAGE) or f"/{SAMPLES}/" in path
        check_private(path, told, store.directory, private, names=not of_samples)
    check_private(f"{folder}/{PAGE}", "\n".join(lines), store.directory, private)
    return files


def check_private(path: str, text: str, directory: Path, private: Collection[str] = (), *, names: bool = True) -> None:
    """Refuse a text that names a path of this machine or a token.

    Args:
        path: of the file that it stands in.
        text: of the file.
        directory: of the run.
        private: what else it may not hold.
        names: whether it may not name the user and the machine either. Answers hold names of made-up people, which may
            be anybody's.

    Raises:
        ValueError: it does.
    """
    from huggingface_hub import get_token

    secrets = {"your home directory": str(Path.home()), "the run's directory": str(directory.resolve())}
    secrets |= {"your token": get_token() or "", "this directory": str(Path.cwd())}
    for what, secret in (*secrets.items(), *(("where a model is", name) for name in private)):
        if len(secret) > 1 and secret in text:
            raise ValueError(f"{path} would publish {what}; nothing was published")
    for what, name in (
        (("your user name", _user()), ("the name of this machine", socket.gethostname())) if names else ()
    ):
        if name.lower() not in _COMMON and len(name) > 2 and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text):
            raise ValueError(f"{path} would publish {what}; nothing was published")


def _private_names(store: PublicRun) -> list[str]:
    """Names of models that are others in public, as far as they tell a folder or an address, and addresses."""
    changed = [PREFIX.sub("", model) for model, public in store.names.items() if model != public]
    return [name for name in (*changed, *store.addresses) if "/" in name.strip("./") or "\\" in name]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def _json(content: Any) -> bytes:
    return (
        json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
    )


def _samples(store: PublicRun, summary: Summary) -> dict[str, bytes]:
    found = {}
    for model, task, method in summary.keys:
        for seed in store.seeds_of(model, task, method):
            rows = store.read_samples(model, task, method, seed)
            path = f"{file_name(model)}/{file_name(task)}/{file_name(str(method))}.seed{seed}.jsonl"
            found[path] = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode()
    return found
