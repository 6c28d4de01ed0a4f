"""Reads a dataset in a local directory back into rows: one that `build` wrote, or anybody's with its columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .generators import SCORERS
from .installing import quiet_progress
from .rows import COLUMNS, Row
from .writing import refuse_pattern
from .yaml_files import nearest, shorten

# What no row can do without; beside these, `messages` or `prompt`.
REQUIRED = ("answer", "reference", "max_new_tokens")
_ROLES = ("system", "user", "assistant")


def read_directory(directory: Path) -> dict[str, list[Row]]:
    """Task → its rows, in the schema of `rows.COLUMNS`, of every config in a directory that `datasets` loads.

    Rows are those of the split `test`, or of the only one. A task is named after the column `task`, else after its
    config, else after the directory, with `_` for what is no letter or digit. A row needs `answer`, `reference` (JSON,
    or an object), `max_new_tokens`, and `messages` or `prompt`. What else it lacks is filled in: `id` is the task and
    the row's number, `category` `custom`, `length` the items that the reference names (0 where it names none). A task
    has one `max_new_tokens`, the greatest of its rows.

    Raises ValueError, naming directory, row, column and value, where something is missing or cannot be read.
    """
    directory = directory.expanduser()
    refuse_pattern(directory.resolve())
    tasks: dict[str, list[Row]] = {}
    ids: set[str] = set()
    for config, split, rows in _read_configs(directory):
        where = directory.name or str(directory)
        default = directory.resolve().name if config == "default" else config
        count = 0
        for number, row in enumerate(rows):
            count += 1
            found = _complete(row, f"{where}: row {number} of {config}", default, split, number)
            if found["id"] in ids:
                raise ValueError(f"{where}: row {number} of {config}: id: {shorten(found['id'])} is given twice")
            ids.add(found["id"])
            tasks.setdefault(found["task"], []).append(found)
        if not count:
            raise ValueError(f"{where}: the split {split} of {config} has no rows")
    for of_task in tasks.values():
        most = max(row["max_new_tokens"] for row in of_task)
        for row in of_task:
            row["max_new_tokens"] = most
    return tasks


def _read_configs(directory: Path) -> Iterable[tuple[str, str, list[Mapping[str, Any]]]]:
    """Config, split and rows of all configs in a directory."""
    import datasets

    known = (OSError, ValueError, TypeError, datasets.exceptions.DatasetsError)
    found = []
    with quiet_progress():
        try:
            configs = datasets.get_dataset_config_names(str(directory.resolve()))
        except known as error:
            raise _unreadable(directory, error) from None
        for config in configs:
            try:
                builder = datasets.load_dataset_builder(str(directory.resolve()), config)
                splits = [str(split) for split in builder.config.data_files or {}]
                split = "test" if "test" in splits else splits[0] if len(splits) == 1 else None
                # Read as a stream: nothing is copied into a cache, and no other split is looked at.
                rows = list(builder.as_streaming_dataset(split=split)) if split else []
            except known as error:
                raise _unreadable(directory, error) from None
            if split is None:
                splits_there = ", ".join(splits) or "none"
                raise ValueError(
                    f"{directory.name}: {config} has no split test, and not just one split; it has {splits_there}"
                )
            found.append((config, split, rows))
    return found


def _unreadable(directory: Path, error: Exception) -> ValueError:
    if not any(path.is_file() for path in directory.rglob("*")):
        return ValueError(f"{directory}: the directory is empty; it should hold a dataset, as parquet or JSON lines")
    cause = error
    while cause.__cause__ is not None and isinstance(cause.__cause__, Exception):
        cause = cause.__cause__
    return ValueError(f"{directory}: `datasets` cannot read it: {' '.join(str(cause).split())[:300]}")


def _complete(row: Mapping[str, Any], where: str, default: str, split: str, number: int) -> Row:
    """A row in the schema, checked."""
    given = {column: row[column] for column in COLUMNS if row.get(column) is not None}
    for column in REQUIRED:
        if column not in given:
            raise ValueError(f"{where}: {column}: is missing; the columns are {', '.join(row)}")
    if "messages" not in given and "prompt" not in given:
        raise ValueError(f"{where}: messages: is missing, and so is prompt; the columns are {', '.join(row)}")
    reference = _reference(given["reference"], where)
    given["reference"] = reference if isinstance(reference, str) else json.dumps(reference, ensure_ascii=False)
    if "messages" in given:
        given["messages"] = _messages(given["messages"], where)
        given.setdefault("prompt", given["messages"][-1]["content"])
    else:
        given["messages"] = [{"role": "user", "content": given["prompt"]}]
    name = re.sub(r"[^a-z0-9]+", "_", str(given.get("task", default)).lower()).strip("_")
    if not name:
        raise ValueError(f"{where}: task: {shorten(given.get('task', default))} has no letter or digit to name it by")
    given["task"] = name
    given.setdefault("id", f"{name}-{split}-{number:04d}")
    given.setdefault("category", "custom")
    given.setdefault("output_format", "")
    given.setdefault("length", count_items(json.loads(given["reference"])))
    for column, kind in COLUMNS.items():
        value = given[column]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{where}: {column}: {shorten(value)} is not {_KINDS[kind]}")
    if given["max_new_tokens"] < 1:
        raise ValueError(f"{where}: max_new_tokens: {given['max_new_tokens']} is not a number of at least 1")
    return {column: given[column] for column in COLUMNS}


_KINDS = {str: "a string", int: "a whole number", list: "a list of messages"}


def _reference(value: Any, where: str) -> Any:
    """The column as it is, if it is JSON; an object without the keys that `datasets` fills in for other rows."""
    content = value
    if isinstance(value, str):
        try:
            content = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError(f"{where}: reference: {shorten(value)} is not JSON") from None
    if not isinstance(content, Mapping):
        raise ValueError(f"{where}: reference: {shorten(value)} is not an object with a scorer")
    scorer = content.get("scorer")
    if scorer not in SCORERS:
        near = nearest(str(scorer), SCORERS)
        hint = f"did you mean {near!r}?" if near else f"known are {', '.join(sorted(SCORERS))}"
        raise ValueError(f"{where}: reference: unknown scorer {shorten(scorer)}; {hint}")
    return value if isinstance(value, str) else {key: part for key, part in content.items() if part is not None}


def _messages(value: Any, where: str) -> list[dict[str, str]]:
    proper = isinstance(value, list) and all(
        isinstance(message, Mapping) and message.get("role") in _ROLES and isinstance(message.get("content"), str)
        for message in value
    )
    if not proper or not value or value[-1]["role"] != "user":
        raise ValueError(
            f"{where}: messages: {shorten(value)} is not a list of role and content that ends with the user's question"
        )
    return [{"role": message["role"], "content": message["content"]} for message in value]


def count_items(reference: Mapping[str, Any]) -> int:
    """Items of a question, as the column `length` counts them, told from its reference; 0 where it names none."""
    scorer = reference.get("scorer")
    if scorer == "latin_square":
        return _size(reference.get("symbols"))
    if scorer == "sudoku":
        return len(str(reference.get("answer", "")).split())
    if scorer == "list_match":
        try:
            return _size(json.loads(reference["answer"]))
        except (KeyError, TypeError, ValueError):
            return 0
    return _size(reference.get("input"))


def _size(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0
