"""Latin squares over symbols drawn from A–Z and 0–9."""

from __future__ import annotations

import string
from functools import cache
from itertools import permutations

from ..randomness import Stream, pick
from ..task_config import MASK, Question, TaskConfig, TaskType

SYMBOLS = string.ascii_uppercase + string.digits
LARGEST = 4

Square = tuple[tuple[int, ...], ...]


@cache
def latin_squares(size: int) -> tuple[Square, ...]:
    """All Latin squares over 0 … size − 1, in lexicographic order: 1, 2, 12, 576 for sizes 1 to 4."""
    rows = list(permutations(range(size)))
    squares: list[Square] = [()]
    for _ in range(size):
        squares = [
            (*square, row)
            for square in squares
            for row in rows
            if all(above[column] != row[column] for above in square for column in range(size))
        ]
    return tuple(squares)


class LatinSquareGenerator:
    """Draws the symbols, then one of all Latin squares over them as the answer."""

    def draw(self, draw: Stream, length: int, avoid: frozenset[str]) -> Question:
        symbols: list[str] = []
        while len(symbols) < length:
            symbol = pick(draw, SYMBOLS)
            if symbol not in avoid and symbol not in symbols:
                symbols.append(symbol)
        square = pick(draw, latin_squares(length))
        return Question(
            fields={"symbols": ", ".join(symbols), "size": str(length)},
            answer="\n".join(",".join(symbols[cell] for cell in row) for row in square),
            scoring={"symbols": symbols},
            output_format="\n".join([",".join([MASK] * length)] * length),
            length=length,
            identity=frozenset(symbols),
            used=frozenset(symbols),
        )


def _limits(config: TaskConfig) -> list[tuple[str, str]]:
    return [
        (key, f"{length} is not a size from 1 to {LARGEST}")
        for key, length in config.lengths.items()
        if not 1 <= length <= LARGEST
    ]


LATIN_SQUARE = TaskType(
    scorer="latin_square",
    placeholders=frozenset({"symbols", "size"}),
    settings=frozenset(),
    make=lambda config, split: LatinSquareGenerator(),
    limits=_limits,
)
