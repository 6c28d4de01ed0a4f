"""List tasks: copy, reverse, sort, shuffle, and inserting, removing or replacing one item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..randomness import Stream, draw_index, shuffled
from ..task_config import MASK, Question, TaskConfig, TaskType
from .pools import ITEMS, Pool, pool_of

# (draw, items, new item) -> (a right answer, the position asked for, if any). The new item is "" where none is needed.
Operation = Callable[[Stream, list[str], str], tuple[list[str], int | None]]


def format_list(items: list[str]) -> str:
    """The list as prompts and answers show it: `["Ada Stone", "Grace Field"]`. Items hold no quote and no comma."""
    return '["' + '", "'.join(items) + '"]' if items else "[]"


def _copy(draw: Stream, items: list[str], new: str) -> tuple[list[str], None]:
    return items, None


def _reverse(draw: Stream, items: list[str], new: str) -> tuple[list[str], None]:
    return items[::-1], None


def _sort(draw: Stream, items: list[str], new: str) -> tuple[list[str], None]:
    # Last name, then first name; a single word is both. Alphabetical: "a" to "z" whatever their case.
    return sorted(items, key=lambda item: (item.split(" ")[-1].casefold(), item.casefold(), item)), None


def _shuffle(draw: Stream, items: list[str], new: str) -> tuple[list[str], None]:
    while (answer := shuffled(draw, items)) == items:
        pass
    return answer, None


def _insert(draw: Stream, items: list[str], new: str) -> tuple[list[str], int]:
    index = draw_index(draw, len(items) + 1)
    return [*items[:index], new, *items[index:]], index


def _remove(draw: Stream, items: list[str], new: str) -> tuple[list[str], int]:
    index = draw_index(draw, len(items))
    return [*items[:index], *items[index + 1 :]], index


def _replace(draw: Stream, items: list[str], new: str) -> tuple[list[str], int]:
    index = draw_index(draw, len(items))
    return [*items[:index], new, *items[index + 1 :]], index


@dataclass(frozen=True, slots=True)
class ListGenerator:
    """Draws lists from a pool and applies one operation to them."""

    operation: Operation
    scorer: str
    pool: Pool
    needs_word: bool
    needs_index: bool

    def draw(self, draw: Stream, length: int, avoid: frozenset[str]) -> Question:
        drawn = self.pool.draw(draw, length + self.needs_word, avoid)
        items = drawn[:length]
        word = drawn[length] if self.needs_word else ""
        result, index = self.operation(draw, items, word)

        context = format_list(items)
        answer = format_list(result)
        fields = {"context": context}
        if self.needs_word:
            fields["word"] = word
        if self.needs_index:
            fields["index"] = str(index)

        scoring: dict[str, object]
        if self.scorer == "list_match":
            scoring = {"answer": answer}
        else:
            scoring = {"input": items}
            if self.needs_word:
                scoring["word"] = word
            if self.scorer == "list_remove":
                scoring["count"] = 1
        return Question(
            fields=fields,
            answer=answer,
            scoring=scoring,
            output_format=format_list([MASK] * len(result)),
            length=length,
            identity=tuple(fields.values()),
            used=self.pool.words(drawn),
        )


def _task_type(operation: Operation, scorer: str, *, word: bool = False, index: bool = False) -> TaskType:
    def make(config: TaskConfig, split: str) -> ListGenerator:
        return ListGenerator(operation, scorer, pool_of(config, split), word, index)

    def limits(config: TaskConfig) -> list[tuple[str, str]]:
        items = config.max_length + (operation is _insert) - (operation is _remove)
        return pool_limits(config, smallest=2 if operation is _shuffle else 1, new=word, longest_answer=items)

    placeholders = {"context"} | ({"word"} if word else set()) | ({"index"} if index else set())
    return TaskType(scorer, frozenset(placeholders), frozenset({"items"}), make, limits)


def pool_limits(config: TaskConfig, *, smallest: int, new: int, longest_answer: int) -> list[tuple[str, str]]:
    """What is wrong with a list task's items and lengths, as (key, message) pairs.

    `smallest` is the least length that makes sense, `new` the number of items a question needs beside its list,
    `longest_answer` the most items that an answer may have.
    """
    if not config.pool and config.items not in ITEMS:
        return [("items", f"{config.items!r} is not one of {', '.join(ITEMS)}")]
    for key, length in config.lengths.items():
        if length < smallest:
            return [(key, f"{length} is too short for this task; it needs at least {smallest}")]
    # One example at a time: each shares nothing with the question, but may share items with another example.
    example = (config.example_max_length + new) if config.shots else 0
    available = min(pool_of(config, split).size for split in ("test", "train"))
    for key in ("min_length", "max_length"):
        length = getattr(config, key)
        if length + new + example > available:
            return [(key, _too_long(config, length, available, new + example))]
    # In no vocabulary do items with their quotes and commas take less than this; `check --tokenizer` tells exactly.
    if config.max_new_tokens <= longest_answer:
        message = f"{config.max_new_tokens} tokens cannot hold a list of {longest_answer} items and an end token"
        return [("max_new_tokens", message)]
    return []


def _too_long(config: TaskConfig, length: int, available: int, reserved: int) -> str:
    pool = "your own items" if config.pool else config.items
    return (
        f"{length} is more than the pool of {pool} can fill: a row has {available} to draw from, "
        f"of which the new item and the example need up to {reserved}"
    )


LIST_TYPES: dict[str, TaskType] = {
    "copy": _task_type(_copy, "list_match"),
    "reverse": _task_type(_reverse, "list_match"),
    "sort": _task_type(_sort, "list_match"),
    "shuffle": _task_type(_shuffle, "list_shuffle"),
    "insert_index": _task_type(_insert, "list_match", word=True, index=True),
    "insert_random": _task_type(_insert, "list_insert", word=True),
    "remove_index": _task_type(_remove, "list_match", index=True),
    "remove_random": _task_type(_remove, "list_remove"),
    "replace_index": _task_type(_replace, "list_match", word=True, index=True),
    "replace_random": _task_type(_replace, "list_replace", word=True),
}
