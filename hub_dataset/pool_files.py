"""A user's own list items: written into the YAML as `pool`, or in a text file that `pool` names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .yaml_files import shorten

# What the written form of a list, `["a", "b"]`, gives another meaning.
RESERVED = ',"[]'


def read_pool(path: Path, where: str, value: Any) -> tuple[str, ...]:
    """The items of a pool: those of a list, or the lines of the text file that `value` names, beside the YAML file.

    `path` is the YAML file and `where` the key, for messages. Blank lines of a text file are left out. Raises
    ValueError, naming file, key and value, for a file that is not there or is not text, and for an item that is not a
    string, is given twice, or holds a character that lists are written with.
    """
    if isinstance(value, str):
        source, items = _read_lines(path, where, value)
    elif isinstance(value, list):
        source, items = f"{path.name}: {where}", value
    else:
        raise ValueError(f"{path.name}: {where}: {shorten(value)} is neither a list of items nor the name of a file")
    seen: set[str] = set()
    for item in items:
        if not isinstance(item, str):
            raise ValueError(f'{source}: {shorten(item)} is not a string; put it in quotes: "{item}"')
        if not item.strip() or item != item.strip():
            raise ValueError(f"{source}: {shorten(item)} is blank or has a space around it")
        if not item.isprintable() or any(character in item for character in RESERVED):
            raise ValueError(
                f"{source}: {shorten(item)} holds a comma, a double quote, a bracket or a control character"
            )
        if item in seen:
            raise ValueError(f"{source}: {shorten(item)} is given twice")
        seen.add(item)
    if not items:
        raise ValueError(f"{source}: there are no items")
    return tuple(items)


def _read_lines(path: Path, where: str, name: str) -> tuple[str, list[str]]:
    file = path.parent / name
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ValueError(f"{path.name}: {where}: {name!r} cannot be read: {reason}") from None
    return f"{path.name}: {where}: {name}", [line.strip() for line in text.splitlines() if line.strip()]
