"""Made-up rows in the dataset's schema, for the tests of the ideal model."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

Row = dict[str, Any]
MakeRow = Callable[..., Row]

FIRST_NAMES = ["Ada", "Ben", "Cleo", "Dora", "Emil", "Finn", "Gwen", "Hal"]
LAST_NAMES = ["Stone", "Field", "Rivers", "O'Hara", "Smith-Jones", "Müller", "Hill", "Lake"]


def written(items: list[str]) -> str:
    return "[" + ", ".join(f'"{item}"' for item in items) + "]"


def _people(length: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    everybody = [f"{first} {last}" for first in FIRST_NAMES for last in LAST_NAMES]
    rng.shuffle(everybody)
    return everybody[:length]


def _make_row(kind: str, length: int = 4, number: int = 0, items: list[str] | None = None) -> Row:
    """One row: `kind` is a scorer's name; `number` tells prompts apart and seeds the names."""
    *line, guest = items or _people(length + 1, number)
    reference: dict[str, Any] = {"scorer": kind}
    if kind == "list_match":
        answer = written(line[::-1])
        reference["answer"] = answer
    elif kind == "list_shuffle":
        answer = written(line[1:] + line[:1])
        reference["input"] = line
    elif kind == "list_remove":
        answer = written(line[1:])
        reference |= {"input": line, "count": 1}
    elif kind == "list_insert":
        answer = written([guest, *line])
        reference |= {"input": line, "word": guest}
    elif kind == "list_replace":
        answer = written([guest, *line[1:]])
        reference |= {"input": line, "word": guest}
    elif kind == "latin_square":
        symbols = random.Random(number).sample("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", length)
        answer = "\n".join(",".join(symbols[start:] + symbols[:start]) for start in range(length))
        reference["symbols"] = symbols
    else:
        answer = "1234\n3412\n2143\n4321"
        reference["answer"] = answer
    task = f"Ticket {number}, {kind}:\n  {json.dumps(reference)} -- reply with the answer only, please."
    return {
        "messages": [
            {"role": "user", "content": "An example, with [MASK] and  two spaces."},
            {"role": "assistant", "content": answer},
            {"role": "user", "content": task},
        ],
        "prompt": task,
        "answer": answer,
        "reference": json.dumps(reference),
        "length": length,
    }


@pytest.fixture(scope="session")
def make_row() -> MakeRow:
    return _make_row


@pytest.fixture(scope="session")
def mixed_rows() -> list[Row]:
    """A few rows of every enumerable kind, of several lengths."""
    kinds = ("list_match", "list_shuffle", "list_remove", "list_insert", "list_replace")
    rows = [_make_row(kind, length, 10 * index + length) for index, kind in enumerate(kinds) for length in (3, 4, 5)]
    # Shared first names, as few items as there can be, and names without a last name.
    rows.append(_make_row("list_shuffle", number=100, items=["Ada Hill", "Ada Lake", "Ben Lake", "Ben Hill", "x"]))
    rows.append(_make_row("list_shuffle", 2, 101))
    rows.append(_make_row("list_remove", number=102, items=["Ada", "Ben", "Ben Lake", "Hal Hill", "Gwen"]))
    rows += [_make_row("latin_square", 3, 103), _make_row("latin_square", 4, 104), _make_row("sudoku", 4, 105)]
    return rows
