"""Rows of a config: drawn from its streams, worded, and put into the dataset's schema.

Questions come from the stream `<config>/<split>`, one-shot examples from `<config>/<split>/example`; so the questions
do not depend on the examples. Both are read row after row, which makes a shorter build the beginning of a longer one.
Lengths take turns (row i has the i-th length, modulo their number): every 4 rows of a waiting line hold one of each.
A question that has been asked before, or that belongs to `test`, is drawn again. Rows with made-up names come from
streams of their own, `<config>/<split>/made_up` and `<config>/<split>/made_up/example`.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from hashlib import sha256
from itertools import islice
from typing import Any

from .configs import task_info
from .generators import Generator, Question
from .randomness import Stream, draw_index, stream
from .task_config import SPLITS, TaskConfig

# Where the people of train and validation come from: the lists in `sources/`, or made up without end.
NAMES = ("listed", "generated")
# The columns in order, with the type of their values; `messages` is a list of {"role", "content"}.
COLUMNS: dict[str, type] = {
    "id": str,
    "task": str,
    "category": str,
    "messages": list,
    "prompt": str,
    "answer": str,
    "reference": str,
    "output_format": str,
    "length": int,
    "max_new_tokens": int,
}
# More rows could not be told apart by number, nor held by any disk.
MOST_ROWS = 10**12
# So many draws in a row without a new question mean that (nearly) all of them have been asked.
MOST_REPEATS = 10_000

Row = dict[str, Any]


class RowsRunOutError(ValueError):
    """A task has fewer different questions than are wanted; `filled` is how many rows there are."""

    def __init__(self, message: str, filled: int) -> None:
        super().__init__(message)
        self.filled = filled

    def __reduce__(self) -> tuple[Any, ...]:  # it has to find its way out of a worker process
        return type(self), (str(self), self.filled)


# Made once: an encoder costs more than a row's encoding.
_encode_line = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_encode_reference = json.JSONEncoder(ensure_ascii=False).encode


def build_rows(
    config: str | TaskConfig, split: str = "test", rows: int | None = None, *, names: str = "listed"
) -> list[Row]:
    """The first `rows` rows of a config's split, or as many as the config says, in the schema of `COLUMNS`.

    Raises ValueError for an unknown config or split, for `rows` below 1 or above what there can be: `test` has as
    many as the config says, and small puzzles run out of different questions. `names` is one of `NAMES` and changes
    only tasks about people; test has its listed names and no others.
    """
    return list(iterate_rows(config, split, rows, names=names))


def iterate_rows(
    config: str | TaskConfig, split: str = "test", rows: int | None = None, *, names: str = "listed"
) -> Iterator[Row]:
    """The rows of `build_rows` one at a time. Arguments are checked at the call, not at the first row."""
    task = task_info(config)
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; it is one of {', '.join(SPLITS)}")
    if split not in task.splits:
        raise ValueError(f"{task.name} has a test split only; {split} cannot be built")
    if names not in NAMES:
        raise ValueError(f"unknown names {names!r}; they are one of {', '.join(NAMES)}")
    if names == "generated" and split == "test":
        raise ValueError("names of test are never generated, so that its rows stay the same; train and validation can")
    count = task.rows if rows is None else rows
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_ROWS:
        raise ValueError(f"rows is {count!r}; it must be a whole number from 1 to {MOST_ROWS}")
    if split == "test" and count > task.rows:
        raise ValueError(f"the test split of {task.name} has {task.rows} rows, not {count}")
    return islice(_draw_rows(task, split, made_up=names == "generated" and task.items == "people"), count)


def canonical_line(row: Row) -> str:
    """A row as one line of JSON, without its end: columns in the schema's order, no spaces, no needless escapes."""
    return _encode_line({column: row[column] for column in COLUMNS})


def checksum(rows: Iterable[Row]) -> str:
    """SHA-256 over the canonical JSON lines of `rows`, in UTF-8, each ended by a line feed; 64 hexadecimal digits."""
    digest = sha256()
    for row in rows:
        digest.update(canonical_line(row).encode() + b"\n")
    return digest.hexdigest()


def _draw_rows(task: TaskConfig, split: str, *, made_up: bool) -> Iterator[Row]:
    source = replace(task, items="made_up_people") if made_up else task
    generator = task.task_type.make(source, split)
    variant = ("made_up",) if made_up else ()
    example_draw = stream(task.name, split, *variant, "example")
    held_out = frozenset() if split == "test" else held_out_identities(task)
    for number, question in enumerate(_draw_questions(task, split, generator, *variant)):
        messages: list[dict[str, str]] = []
        for _ in range(task.shots):
            example = _draw_example(task, generator, example_draw, question, held_out)
            messages.append({"role": "user", "content": task.prompt.format_map(example.fields)})
            messages.append({"role": "assistant", "content": example.answer})
        prompt = task.prompt.format_map(question.fields)
        messages.append({"role": "user", "content": prompt})
        reference = {"scorer": task.scorer, "task": task.name, **question.scoring}
        yield {
            "id": f"{task.name}-{split}-{number:04d}",
            "task": task.name,
            "category": task.category,
            "messages": messages,
            "prompt": prompt,
            "answer": question.answer,
            "reference": _encode_reference(reference),
            "output_format": question.output_format,
            "length": question.length,
            "max_new_tokens": task.max_new_tokens,
        }


def _draw_questions(task: TaskConfig, split: str, generator: Generator, *variant: str) -> Iterator[Question]:
    draw = stream(task.name, split, *variant)
    lengths = range(task.min_length, task.max_length + 1)
    # Within test no two questions are the same in substance; elsewhere, where millions may be wanted, no two have the
    # same words (a Latin square over the same symbols in another order is new there).
    taken: set[Hashable] = set() if split == "test" else set(held_out_identities(task))
    asked: set[Hashable] = set()
    number = 0
    while True:
        length = lengths[number % len(lengths)]
        for _ in range(MOST_REPEATS):
            question = generator.draw(draw, length, frozenset())
            wording = tuple(question.fields.values())
            if wording not in asked and question.identity not in taken:
                break
        else:
            where = f"{task.origin}.rows: {task.rows}" if split == "test" else task.origin
            raise RowsRunOutError(
                f"{where}: {task.name}: only {number} rows of {split} can be filled: no new question of length "
                f"{length} came up in {MOST_REPEATS} draws",
                filled=number,
            )
        asked.add(wording)
        if split == "test":
            taken.add(question.identity)
        yield question
        number += 1


def _draw_example(
    task: TaskConfig, generator: Generator, draw: Stream, question: Question, held_out: frozenset[Hashable]
) -> Question:
    length = task.example_min_length + draw_index(draw, task.example_max_length - task.example_min_length + 1)
    for _ in range(MOST_REPEATS):
        example = generator.draw(draw, length, question.used)
        if example.identity not in held_out:
            return example
    raise ValueError(
        f"{task.origin}.example_max_length: {task.example_max_length}: {task.name}: no example of length {length} that "
        f"test does not ask came up in {MOST_REPEATS} draws"
    )


@cache
def held_out_identities(task: TaskConfig) -> frozenset[Hashable]:
    """What the questions of `test` are in substance: no other split, and no training data, may ask them."""
    generator = task.task_type.make(task, "test")
    return frozenset(question.identity for question in islice(_draw_questions(task, "test", generator), task.rows))
