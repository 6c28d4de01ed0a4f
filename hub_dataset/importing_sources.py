"""Finds the tasks of the original ParallelBench data: in a checkout, in a folder of JSON lines, or on the Hub.

The first edition keeps one folder a group, with a `task_config.yaml` that holds the prompts, below
`dataset/parallel_bench/data/output/test`. The later edition is a folder of JSON-lines files named after their tasks
(the folder that is given, or one in it), or a Hub dataset with one config a task. Names that begin with an underscore
are no tasks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .configs import underscored
from .importing_rows import SCORER_OF_METRIC, OriginalTask, placeholders, scorer_of_name
from .yaml_files import read_mapping, shorten

FIRST, LATER = "original", "original2026"
TASK_CONFIG = "task_config.yaml"
# Where the groups of the first edition can lie below the folder that is given, which may be any part of this path.
OUTPUT = ("dataset", "parallel_bench", "data", "output", "test")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", re.ASCII)

# (where the row stands, the row, or None and what is wrong with the line)
Line = tuple[str, Any, str | None]


@dataclass(frozen=True, slots=True)
class SourceTask:
    """One task with a way to read its rows, or with what makes it unknown; `where` names its file or Hub config."""

    where: str
    task: OriginalTask | None
    problem: str
    lines: Callable[[], Iterator[Line]]


def find_tasks(source: str) -> list[SourceTask]:
    """All tasks in `source`: a folder, or a Hub dataset `owner/name`, with `@revision` if wanted.

    Raises ValueError where `source` is neither, cannot be loaded, or holds no tasks.
    """
    path = Path(source)
    if path.is_dir():
        tasks = [*_first_edition(path), *_later_edition(path)]
        if not tasks:
            layout = f"{'/'.join(OUTPUT)}/<group>/{TASK_CONFIG}"
            raise ValueError(f"{source}: holds no ParallelBench data: neither {layout} nor JSON lines")
        return tasks
    if path.exists() or not HUB_ID.fullmatch(source):
        raise ValueError(f"{source}: is neither a folder nor a Hub dataset in the form owner/name")
    return _hub_tasks(source)


def _first_edition(folder: Path) -> list[SourceTask]:
    tasks = []
    for group in _group_folders(folder):
        config = read_mapping(group / TASK_CONFIG) if (group / TASK_CONFIG).is_file() else {}
        for path in _json_lines(group):
            tasks.append(_first_edition_task(path, config))
    return tasks


def _group_folders(folder: Path) -> list[Path]:
    if (folder / TASK_CONFIG).is_file():
        return [folder]
    for start in range(len(OUTPUT) + 1):
        below = folder.joinpath(*OUTPUT[start:])
        if any(below.glob(f"*/{TASK_CONFIG}")):
            # One without its configuration is among them, to be reported.
            return _folders(below)
    return []


def _first_edition_task(path: Path, config: dict[str, Any]) -> SourceTask:
    name = f"{path.parent.name}/{path.stem}"
    settings = config.get(name)
    where = f"{path.parent / TASK_CONFIG}: {name}"
    try:
        if not isinstance(settings, dict):
            raise ValueError("is missing, so that the prompt of the task is unknown")
        metric, template, count = (settings.get(key) for key in ("metric", "prompt", "icl_example_count"))
        if metric not in SCORER_OF_METRIC:
            raise ValueError(f"metric: {shorten(metric)} is not one of {', '.join(SCORER_OF_METRIC)}")
        if not isinstance(template, str):
            raise ValueError(f"prompt: {shorten(template)} is not a string")
        placeholders(template)
        if count is not None and (not isinstance(count, int) or isinstance(count, bool)):
            raise ValueError(f"icl_example_count: {shorten(count)} is not a whole number")
        task = OriginalTask(_config_name(FIRST, name), SCORER_OF_METRIC[metric], template, count)
    except ValueError as error:
        return SourceTask(where, None, str(error), lambda: iter(()))
    return SourceTask(str(path), task, "", lambda: _read_lines(path))


def _later_edition(folder: Path) -> list[SourceTask]:
    if (folder / TASK_CONFIG).is_file():
        return []
    paths = _json_lines(folder)
    for below in _folders(folder):
        paths += [path for path in _json_lines(below) if _has_later_form(path)]
    return [_later_edition_task(str(path), path.stem, partial(_read_lines, path)) for path in paths]


def _has_later_form(path: Path) -> bool:
    _, row, _ = next(_read_lines(path), ("", None, None))
    return isinstance(row, dict) and {"messages", "label"} <= row.keys()


def _later_edition_task(where: str, name: str, lines: Callable[[], Iterator[Line]]) -> SourceTask:
    try:
        config = _config_name(LATER, name)
        scorer = scorer_of_name(config.removeprefix(f"{LATER}_"))
        if scorer is None:
            raise ValueError(f"{name!r} is not the name of a ParallelBench task")
    except ValueError as error:
        return SourceTask(where, None, str(error), lambda: iter(()))
    return SourceTask(where, OriginalTask(config, scorer, None, None), "", lines)


def _config_name(edition: str, name: str) -> str:
    config = underscored(f"{edition}_{name}").lower()
    if not re.fullmatch(r"[a-z0-9_]+", config):
        raise ValueError(f"{name!r} has characters other than letters, digits, - and _")
    return config


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(("_", ".")))


def _json_lines(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.jsonl") if not path.name.startswith("_"))


def _read_lines(path: Path) -> Iterator[Line]:
    # Line by line in bytes: only "\n" ends a line of JSON, and one that is not text spoils no other.
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                yield where, json.loads(line.decode("utf-8-sig")), None
            except UnicodeDecodeError:
                yield where, None, "is not UTF-8 text"
            except (ValueError, RecursionError) as error:
                yield where, None, f"is not JSON: {error}"


def _hub_tasks(source: str) -> list[SourceTask]:
    import datasets
    import huggingface_hub

    name, _, revision = source.partition("@")
    at = revision or None
    if not huggingface_hub.is_offline_mode():
        # Says at once what is wrong, where `datasets` would try again and again. Offline, its cache may have it.
        _from_hub(source, lambda: huggingface_hub.HfApi().dataset_info(name, revision=at))
    configs = _from_hub(source, lambda: datasets.get_dataset_config_names(name, revision=at))

    def reader(config: str) -> Callable[[], Iterator[Line]]:
        def lines() -> Iterator[Line]:
            splits = _from_hub(source, lambda: datasets.load_dataset(name, config, revision=at))
            split = "test" if "test" in splits else next(iter(splits))
            if split != "test" and len(splits) > 1:
                raise ValueError(f"{source}: {config} has the splits {', '.join(splits)}, and none of them is test")
            for number, row in enumerate(splits[split], start=1):
                yield f"{source}: {config}:{number}", row, None

        return lines

    return [_later_edition_task(f"{source}: {config}", config, reader(config)) for config in configs]


def _from_hub(source: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception as error:  # three libraries below raise classes of their own for the same causes
        reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        raise ValueError(
            f"{source}: cannot be loaded from the Hub ({reason}); with a copy of the data, name its folder instead"
        ) from error
