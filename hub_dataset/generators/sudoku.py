"""4 × 4 Sudoku puzzles with a unique solution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ..randomness import Stream, draw_index, pick
from ..task_config import MASK, Question, TaskConfig, TaskType
from .latin_square import latin_squares

SIZE = 4
CELLS = SIZE * SIZE
# Fewer than four givens never determine a 4 × 4 grid.
MOST_BLANKS = CELLS - 4


@cache
def solved_grids() -> tuple[str, ...]:
    """All 288 solved grids, each as its 16 digits row by row: the Latin squares whose 2 × 2 corner blocks are full."""
    blocks = [[(row + i, column + j) for i in (0, 1) for j in (0, 1)] for row in (0, 2) for column in (0, 2)]
    return tuple(
        "".join(str(cell + 1) for row in square for cell in row)
        for square in latin_squares(SIZE)
        if all(len({square[row][column] for row, column in block}) == SIZE for block in blocks)
    )


@cache
def _packed_grids() -> tuple[int, ...]:
    return tuple(int(grid, 16) for grid in solved_grids())


def has_unique_solution(grid: str, blanks: set[int]) -> bool:
    """Whether `grid` (a solved one, 16 digits) is the only solution once the cells in `blanks` are emptied."""
    givens = int("".join("0" if cell in blanks else "f" for cell in range(CELLS)), 16)
    target = int(grid, 16)
    return sum(not (target ^ other) & givens for other in _packed_grids()) == 1


@dataclass(frozen=True, slots=True)
class SudokuGenerator:
    """Draws a solved grid, then cells to empty until what is left has one solution."""

    blanks: int

    def draw(self, draw: Stream, length: int, avoid: frozenset[str]) -> Question:
        while True:
            grid = pick(draw, solved_grids())
            if grid in avoid:
                continue
            blanks: set[int] = set()
            while len(blanks) < self.blanks:
                blanks.add(draw_index(draw, CELLS))
            if has_unique_solution(grid, blanks):
                break
        puzzle = _lines("".join("0" if cell in blanks else grid[cell] for cell in range(CELLS)))
        answer = _lines(grid)
        return Question(
            fields={"sudoku": puzzle},
            answer=answer,
            scoring={"answer": answer},
            output_format="\n".join([MASK * SIZE] * SIZE),
            length=SIZE,
            identity=puzzle,
            used=frozenset({grid}),
        )


def _lines(cells: str) -> str:
    return "\n".join(cells[start : start + SIZE] for start in range(0, CELLS, SIZE))


def _limits(config: TaskConfig) -> list[tuple[str, str]]:
    problems = [(key, f"{length} is not {SIZE}") for key, length in config.lengths.items() if length != SIZE]
    if not 1 <= config.blanks <= MOST_BLANKS:
        problems.append(("blanks", f"{config.blanks} is not from 1 to {MOST_BLANKS}"))
    return problems


SUDOKU = TaskType(
    scorer="sudoku",
    placeholders=frozenset({"sudoku"}),
    settings=frozenset({"blanks"}),
    make=lambda config, split: SudokuGenerator(config.blanks),
    limits=_limits,
)
