"""Scorers for the puzzles: Latin squares and 4×4 Sudoku grids."""

from typing import Any

from .reading import read_cells, read_digit_rows, read_digit_rows_strictly, read_filled_lines
from .scorer import DISTINCT_STRINGS, KeyKind, Scorer

SUDOKU_SIZE = 4


def is_latin_square(text: str, symbols: list[str]) -> bool:
    """Tell whether the rows found in `text` make a Latin square over n = len(symbols) distinct symbols.

    A line is a row when the set of its cells is the set of symbols, so other lines do no harm and neither does a cell
    given twice. The first n rows must be there, and each of their first n columns must hold every symbol.
    """
    size = len(symbols)
    wanted = set(symbols)
    rows: list[list[str]] = []
    for line in read_filled_lines(text):
        cells = read_cells(line)
        if set(cells) == wanted:
            rows.append(cells)
            if len(rows) == size:
                break
    return len(rows) == size and all({row[column] for row in rows} == wanted for column in range(size))


def score_latin_square(prediction: str, symbols: list[str]) -> dict[str, float]:
    """Right when the prediction holds a Latin square over the symbols; the one reading gives both scores."""
    score = float(is_latin_square(prediction, symbols))
    return {"score": score, "score_strict": score}


def score_sudoku(prediction: str, answer: str) -> dict[str, float]:
    """Right when the grid equals the solution.

    Lenient: of every line only the digits count, and exactly 4 lines have exactly 4. Strict: apart from blank lines and
    white space around lines, the prediction is 4 lines of 4 digits and nothing else. Digits are those of every script,
    compared by value. The answer is read leniently.
    """
    solution = read_digit_rows(answer, SUDOKU_SIZE)
    if solution is None or read_digit_rows(prediction, SUDOKU_SIZE) != solution:
        return {"score": 0.0, "score_strict": 0.0}
    return {"score": 1.0, "score_strict": float(read_digit_rows_strictly(prediction, SUDOKU_SIZE) == solution)}


def is_sudoku_grid(value: Any) -> bool:
    """Tell whether `value` is a string in which a whole grid can be read."""
    return isinstance(value, str) and read_digit_rows(value, SUDOKU_SIZE) is not None


SUDOKU_GRID = KeyKind(f"a grid of {SUDOKU_SIZE} lines with {SUDOKU_SIZE} digits each", is_sudoku_grid)

PUZZLE_SCORERS = {
    "latin_square": Scorer(score_latin_square, {"symbols": DISTINCT_STRINGS}),
    "sudoku": Scorer(score_sudoku, {"answer": SUDOKU_GRID}),
}
