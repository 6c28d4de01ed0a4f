"""Which closed forms hold for the questions of a task, told from their references and not from the task's name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

# Of an answer that is the only right one, by how many items it has more than the question.
_SINGLE = {0: "copy", 1: "insert_index", -1: "remove_index"}
_EDITS = {"list_insert": "insert_random", "list_replace": "replace_random"}


def kind_of_rows(rows: Iterable[Mapping[str, Any]]) -> str | None:
    """The task of `closed_form` whose values hold for these rows; None where there is none, or not one for all.

    Closed forms count the items of `length` as all different from each other, so lists that hold an item twice, or hold
    the item that is to be put in, have none.

    Args:
        rows: in the dataset's schema.
    """
    kinds = {_kind(json.loads(row["reference"]), row["length"]) for row in rows}
    return kinds.pop() if len(kinds) == 1 else None


def _kind(reference: Mapping[str, Any], length: int) -> str | None:
    scorer = reference.get("scorer")
    if scorer == "list_match":
        return _SINGLE.get(len(_items(_decoded(reference.get("answer")))) - length)
    if scorer == "sudoku":
        return "sudoku" if len(str(reference.get("answer")).split()) == length else None
    if scorer == "latin_square":
        return "latin_square" if len(_items(reference.get("symbols"))) == length else None
    items = _items(reference.get("input"))
    if len(items) != length or len({*items, *_word(reference)}) != length + len(_word(reference)):
        return None
    if scorer == "list_remove":
        return "remove_random" if reference.get("count", 1) == 1 else None
    return "shuffle" if scorer == "list_shuffle" else _EDITS.get(str(scorer))


def _word(reference: Mapping[str, Any]) -> list[str]:
    return [reference["word"]] if isinstance(reference.get("word"), str) else []


def _items(value: Any) -> list[str]:
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else []


def _decoded(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None
