"""Enumerates every answer that a row's reference accepts, in the form in which the dataset writes answers.

The rules are those of the metric's scorers, read strictly: a list is ``["Ada Stone", "Grace Field"]``, a Latin square
one line of comma-separated cells per row, a Sudoku one line of digits per row.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, combinations, permutations
from math import comb, factorial, isqrt, prod
from typing import Any

Reference = str | Mapping[str, Any]

DEFAULT_LIMIT = 50_000

# Latin squares of order 1, 2, 3 … (OEIS A002860); beyond the last entry the number is only known to be larger.
_LATIN_SQUARES = (1, 2, 12, 576, 161_280, 812_851_200, 61_479_419_904_000)

_SCORERS = (
    "list_match",
    "list_shuffle",
    "list_insert",
    "list_remove",
    "list_replace",
    "latin_square",
    "sudoku",
)


def valid_answers(reference: Reference, *, include_input: bool = False, limit: int = DEFAULT_LIMIT) -> list[str]:
    """All distinct answers, as canonical strings, that score 1 against a reference; always in the same order.

    Args:
        reference: The dataset's `reference`: a JSON string, or the object it holds.
        include_input: Whether the input itself counts as a valid shuffle, as the closed forms have it; the dataset's
            scorer does not accept it. Other scorers are not affected.
        limit: The largest number of answers worth enumerating.

    Raises:
        ValueError: The reference is malformed, its scorer judges open text, no answer is valid, or more than `limit`
            are.
    """
    fields = _parse(reference)
    scorer = fields["scorer"]
    number, relation = _count(fields, include_input)
    if number > limit:
        raise ValueError(
            f"scorer {scorer!r} accepts {relation}{number:,} answers to this row, more than the limit of {limit:,}"
        )
    answers = list(dict.fromkeys(_enumerate(fields, include_input)))
    if not answers:
        raise ValueError(f"scorer {scorer!r} accepts no answer to this row: {json.dumps(dict(fields))}")
    return answers


def is_enumerable(reference: Reference, *, limit: int = DEFAULT_LIMIT) -> bool:
    """Whether `valid_answers` can list this reference's answers within `limit`, told without enumerating them."""
    try:
        return 0 < _count(_parse(reference), include_input=False)[0] <= limit
    except ValueError:
        return False


def answer_form(reference: Reference) -> str:
    """How answers to this reference are written: `list`, `csv_grid` or `digit_grid`.

    Raises:
        ValueError: The reference is malformed or its scorer judges open text.
    """
    scorer = _parse(reference)["scorer"]
    return {"latin_square": "csv_grid", "sudoku": "digit_grid"}.get(scorer, "list")


def split_items(answer: str, form: str) -> list[str]:
    """The items of a canonical answer of this `answer_form`: people of a list, cells of a grid in reading order."""
    if form == "list":
        return answer[2:-2].split('", "') if answer != "[]" else []
    if form == "csv_grid":
        return [cell for line in answer.splitlines() for cell in line.split(",")]
    return list(answer.replace("\n", ""))


def join_items(items: Sequence[str], form: str) -> str:
    """The canonical answer made of these items; the inverse of `split_items`. Grids are square, rows first."""
    if form == "list":
        return "[" + ", ".join(f'"{item}"' for item in items) + "]"
    side = max(1, isqrt(len(items)))
    separator = "," if form == "csv_grid" else ""
    return "\n".join(separator.join(items[start : start + side]) for start in range(0, len(items), side))


def reference_items(reference: Reference) -> list[str]:
    """Every item that may occur in a valid answer, each once: the people or the cells that the reference names."""
    fields = _parse(reference)
    scorer = fields["scorer"]
    if scorer in ("list_match", "sudoku"):
        items = split_items(fields["answer"], answer_form(fields))
    elif scorer == "latin_square":
        items = list(fields["symbols"])
    else:
        items = [*fields["input"], *([fields["word"]] if scorer in ("list_insert", "list_replace") else [])]
    return list(dict.fromkeys(items))


def _parse(reference: Reference) -> Mapping[str, Any]:
    """The reference as an object whose keys and types are what its scorer needs."""
    fields = reference
    if isinstance(reference, str):
        try:
            fields = json.loads(reference)
        except json.JSONDecodeError as error:
            raise ValueError(f"a reference is a JSON object, got {reference[:80]!r}: {error}") from None
    if not isinstance(fields, Mapping) or not isinstance(fields.get("scorer"), str):
        raise ValueError(f"a reference is an object with a 'scorer', got {str(reference)[:80]!r}")
    scorer = fields["scorer"]
    if scorer not in _SCORERS:
        raise ValueError(
            f"scorer {scorer!r} accepts an open set of answers, which cannot be listed; "
            f"enumerable are {', '.join(_SCORERS)}"
        )
    if scorer in ("list_match", "sudoku"):
        _require(fields, "answer", isinstance(fields.get("answer"), str), "a string")
        if scorer == "list_match":
            _require_list(fields, "answer", _json_or_none(fields["answer"]))
    elif scorer == "latin_square":
        _require_list(fields, "symbols", fields.get("symbols"))
        distinct = len(set(fields["symbols"])) == len(fields["symbols"]) > 0
        _require(fields, "symbols", distinct, "a list of distinct symbols")
    else:
        _require_list(fields, "input", fields.get("input"))
        if scorer in ("list_insert", "list_replace"):
            _require(fields, "word", isinstance(fields.get("word"), str), "a string")
        if scorer == "list_remove":
            count = fields.get("count", 1)
            proper = isinstance(count, int) and not isinstance(count, bool) and count >= 0
            _require(fields, "count", proper, "an integer of at least 0")
    return fields


def _require(fields: Mapping[str, Any], key: str, fulfilled: bool, expected: str) -> None:
    if not fulfilled:
        raise ValueError(f"{key!r} of a {fields['scorer']!r} reference must be {expected}, got {fields.get(key)!r}")


def _require_list(fields: Mapping[str, Any], key: str, value: Any) -> None:
    proper = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    _require(fields, key, proper, "a list of strings")


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def _count(fields: Mapping[str, Any], include_input: bool) -> tuple[int, str]:
    """An upper bound of the number of answers, exact where items are distinct, and the words to put before it."""
    scorer = fields["scorer"]
    if scorer == "latin_square":
        side = len(fields["symbols"])
        known = side <= len(_LATIN_SQUARES)
        return _LATIN_SQUARES[min(side, len(_LATIN_SQUARES)) - 1], "" if known else "more than "
    if scorer in ("list_match", "sudoku"):
        return 1, ""
    line = fields["input"]
    if scorer == "list_shuffle":
        orders = factorial(len(line)) // prod(map(factorial, Counter(line).values()))
        return orders - (not include_input), ""
    if scorer == "list_remove":
        return comb(len(line), fields.get("count", 1)), ""
    return len(line) + (scorer == "list_insert"), ""


def _enumerate(fields: Mapping[str, Any], include_input: bool) -> Iterator[str]:
    """Valid answers as strings; one may come twice where the input holds an item twice."""
    scorer = fields["scorer"]
    if scorer in ("list_match", "sudoku"):
        yield fields["answer"]
    elif scorer == "latin_square":
        symbols = fields["symbols"]
        for square in _latin_squares(len(symbols)):
            yield join_items([symbols[cell] for cell in square], "csv_grid")
    else:
        line = list(fields["input"])
        if scorer == "list_shuffle":
            answers = _shuffles(line, include_input)
        elif scorer == "list_insert":
            answers = ([*line[:slot], fields["word"], *line[slot:]] for slot in range(len(line) + 1))
        elif scorer == "list_remove":
            answers = _removals(line, fields.get("count", 1))
        else:
            answers = _replacements(line, fields["word"])
        for answer in answers:
            yield join_items(answer, "list")


def _shuffles(line: list[str], include_input: bool) -> Iterator[list[str]]:
    return (list(order) for order in permutations(line) if include_input or list(order) != line)


def _removals(line: list[str], count: int) -> Iterator[list[str]]:
    for places in combinations(range(len(line)), count):
        gone = {line[place] for place in places}
        rest = [item for place, item in enumerate(line) if place not in places]
        # As the scorer has it: the removed items differ from each other and none of them is left elsewhere.
        if len(gone) == count and gone.isdisjoint(rest):
            yield rest


def _replacements(line: list[str], word: str) -> Iterator[list[str]]:
    for place in range(len(line)):
        answer = [*line[:place], word, *line[place + 1 :]]
        if answer.index(word) == place:
            yield answer


@lru_cache(maxsize=1)
def _latin_squares(side: int) -> tuple[tuple[int, ...], ...]:
    """All Latin squares over 0 … side − 1, cells in reading order, squares in lexicographic order."""
    candidates = list(permutations(range(side)))

    def extend(rows: tuple[tuple[int, ...], ...]) -> Iterator[tuple[int, ...]]:
        if len(rows) == side:
            yield tuple(chain.from_iterable(rows))
            return
        for candidate in candidates:
            if all(above[column] != cell for above in rows for column, cell in enumerate(candidate)):
                yield from extend((*rows, candidate))

    return tuple(extend(()))
