"""The scorer for dominoes: a row of tiles read leniently gives `score`, read strictly `score_strict`."""

import re
from itertools import pairwise
from typing import Any

from .reading import read_list, read_list_strictly
from .scorer import KeyKind, Scorer, is_strings

DIGITS = re.compile(r"[0-9]+")
TILE = re.compile(r"(0|[1-9][0-9]*)-(0|[1-9][0-9]*)")

# The numbers on the left and the right half, without leading zeros.
Tile = tuple[str, str]


def read_tile(item: str) -> Tile | None:
    """Read one tile leniently: the two numbers in `item`, whatever is around them; None where there are not two."""
    numbers = DIGITS.findall(item)
    if len(numbers) != 2:
        return None
    left, right = (number.lstrip("0") or "0" for number in numbers)
    return left, right


def read_tile_strictly(item: str) -> Tile | None:
    """Read one tile in canonical form, `2-5`, or return None where it has another form."""
    found = TILE.fullmatch(item)
    return None if found is None else (found[1], found[2])


def is_domino_row(row: list[Tile | None], tiles: list[Tile | None]) -> bool:
    """Tell whether `row` holds all of `tiles` once, turned around or not, and touching halves show the same number."""
    if len(row) != len(tiles) or None in row:
        return False
    laid = [tile for tile in row if tile is not None]
    if any(left[1] != right[0] for left, right in pairwise(laid)):
        return False
    return sorted(map(sorted, laid)) == sorted(sorted(tile) for tile in tiles if tile is not None)


def score_domino(prediction: str, input: list[str]) -> dict[str, float]:
    """Right when the list is a row of all the given tiles in which touching halves match."""
    tiles = [read_tile(tile) for tile in input]
    if not is_domino_row([read_tile(item) for item in read_list(prediction)], tiles):
        return {"score": 0.0, "score_strict": 0.0}
    items = read_list_strictly(prediction)
    strict = items is not None and is_domino_row([read_tile_strictly(item) for item in items], tiles)
    return {"score": 1.0, "score_strict": float(strict)}


def is_tiles(value: Any) -> bool:
    """Tell whether `value` is a list of one or more strings, each of which shows two numbers."""
    return is_strings(value) and bool(value) and all(read_tile(item) is not None for item in value)


DOMINO_SCORERS = {
    "domino": Scorer(score_domino, {"input": KeyKind('a list of tiles such as "2-5"', is_tiles)}),
}
