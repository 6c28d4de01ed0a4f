"""Tests of the Sudoku task."""

import random
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_dataset.generators.sudoku import SudokuGenerator, has_unique_solution, solved_grids


def is_solved(cells: str) -> bool:
    rows = [cells[i : i + 4] for i in range(0, 16, 4)]
    columns = ["".join(column) for column in zip(*rows, strict=True)]
    blocks = [rows[r][c : c + 2] + rows[r + 1][c : c + 2] for r in (0, 2) for c in (0, 2)]
    return all(sorted(unit) == list("1234") for unit in rows + columns + blocks)


def solutions(puzzle: str) -> list[str]:
    """All solutions by trying every filling."""
    cells = puzzle.replace("\n", "")
    fillings = product("1234", repeat=cells.count("0"))
    filled = (cells.replace("0", "{}").format(*digits) for digits in fillings)
    return [grid for grid in filled if is_solved(grid)]


def test_there_are_288_solved_grids():
    assert len(set(solved_grids())) == 288
    assert all(is_solved(grid) for grid in solved_grids())


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_puzzle_has_four_blanks_and_the_answer_is_its_only_solution(seed):
    question = SudokuGenerator(blanks=4).draw(random.Random(seed).random, 4, frozenset())
    puzzle = question.fields["sudoku"]
    assert [len(line) for line in puzzle.split("\n")] == [4, 4, 4, 4]
    assert puzzle.count("0") == 4
    assert solutions(puzzle) == [question.answer.replace("\n", "")]
    assert question.scoring == {"answer": question.answer}
    assert question.output_format == "\n".join(["[MASK][MASK][MASK][MASK]"] * 4)


@pytest.mark.parametrize("seed", range(20))
def test_uniqueness_agrees_with_trying_every_filling(seed):
    chooser = random.Random(seed)
    grid = chooser.choice(solved_grids())
    blanks = set(chooser.sample(range(16), 7))
    puzzle = "".join("0" if cell in blanks else digit for cell, digit in enumerate(grid))
    assert has_unique_solution(grid, blanks) == (len(solutions(puzzle)) == 1)


def test_grids_to_avoid_are_not_drawn():
    generator = SudokuGenerator(blanks=4)
    draw = random.Random(0).random
    avoid = frozenset(solved_grids()[2:])
    answers = {generator.draw(draw, 4, avoid).answer.replace("\n", "") for _ in range(20)}
    assert answers == set(solved_grids()[:2])
