"""Dominoes: tiles to lay in one row so that touching halves show the same number.

There are always several right rows (each also holds when read from the other end), and each tile of a row decides
which tiles can lie next to it. So the tokens of the answer depend on each other along the row, nearest neighbours most:
committing all of them at once mixes rows that do not fit together, and committing them one by one, in almost any order
that goes on from tiles already laid, loses nothing.
"""

from __future__ import annotations

from itertools import pairwise

from ..randomness import Stream, draw_index, pick, shuffled
from ..task_config import MASK, Question, TaskConfig, TaskType
from .lists import format_list

# The usual set: halves show 0 to 6, each of the 28 tiles is there once.
HIGHEST = 6
# Longer rows exist, but a random one gets stuck before it is that long more and more often.
LONGEST = 12

Tile = tuple[int, int]


class DominoGenerator:
    """Draws a row of distinct tiles half by half, then shuffles and turns them so that they lie in no right order."""

    def draw(self, draw: Stream, length: int, avoid: frozenset[str]) -> Question:
        while True:
            row = _draw_row(draw, length)
            identity = format_tiles(sorted((min(tile), max(tile)) for tile in row))
            if identity in avoid:
                continue
            given = [tile if draw() < 0.5 else tile[::-1] for tile in shuffled(draw, row)]
            if not fits(given):
                break
        tiles = format_tiles(given)
        return Question(
            fields={"tiles": tiles},
            answer=format_tiles(row),
            scoring={"input": [f"{left}-{right}" for left, right in given]},
            output_format=format_list([MASK] * length),
            length=length,
            identity=identity,
            used=frozenset({identity}),
        )


def fits(row: list[Tile]) -> bool:
    """Whether touching halves of the row show the same number."""
    return all(left[1] == right[0] for left, right in pairwise(row))


def format_tiles(tiles: list[Tile]) -> str:
    """Tiles as prompts and answers show them: `["2-5", "5-1"]`."""
    return format_list([f"{left}-{right}" for left, right in tiles])


def _draw_row(draw: Stream, length: int) -> list[Tile]:
    while True:
        row: list[Tile] = []
        laid: set[Tile] = set()
        end = draw_index(draw, HIGHEST + 1)
        while len(row) < length:
            free = [half for half in range(HIGHEST + 1) if (min(end, half), max(end, half)) not in laid]
            if not free:
                break
            half = pick(draw, free)
            laid.add((min(end, half), max(end, half)))
            row.append((end, half))
            end = half
        else:
            return row


def _limits(config: TaskConfig) -> list[tuple[str, str]]:
    return [
        (key, f"{length} is not a number of dominoes from 2 to {LONGEST}")
        for key, length in config.lengths.items()
        if not 2 <= length <= LONGEST
    ]


DOMINO = TaskType(
    scorer="domino",
    placeholders=frozenset({"tiles"}),
    settings=frozenset(),
    make=lambda config, split: DominoGenerator(),
    limits=_limits,
)
