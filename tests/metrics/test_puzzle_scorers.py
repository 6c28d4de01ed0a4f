"""The rules of the puzzle scorers."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

RIGHT = {"score": 1.0, "score_strict": 1.0}
LENIENTLY_RIGHT = {"score": 1.0, "score_strict": 0.0}
WRONG = {"score": 0.0, "score_strict": 0.0}
SQUARE = "A,B,C\nB,C,A\nC,A,B"
GRID = "1234\n3412\n2143\n4321"


@pytest.fixture(scope="module")
def puzzles(part):
    return part("puzzle_scorers")


@pytest.mark.parametrize(
    "text",
    [
        SQUARE,
        SQUARE.replace(",", " ,\t"),
        SQUARE.replace("\n", "\r\n\r\n"),
        f"Here it is:\n```csv\n{SQUARE}\n```\nDone, I think.",
        f"{SQUARE}\nA,B,C",  # only the first rows count
        "A,B,C,A\nB,C,A,A\nC,A,B,A",  # a cell given twice, beyond the columns
    ],
)
def test_latin_square_is_found_among_other_lines(puzzles, text):
    assert puzzles.score_latin_square(text, ["A", "B", "C"]) == RIGHT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A,B,C\nB,C,A",
        "A,B,C\nA,B,C\nB,C,A",
        "A,B,C\nB,C,A\nB,C,A\nC,A,B",  # the third row is a repetition; what follows is not looked at
        SQUARE.lower(),
        SQUARE.replace(",", " "),
        SQUARE.replace("\n", ","),
        "A,B,A,C\nB,C,B,A\nC,A,A,B",  # each line has the symbols, the third column has not
        "\n".join(f"{line}," for line in SQUARE.split("\n")),
    ],
)
def test_other_texts_are_no_latin_square(puzzles, text):
    assert puzzles.score_latin_square(text, ["A", "B", "C"]) == WRONG


@given(symbols=st.lists(st.sampled_from("ABCDEFGH0123"), min_size=1, max_size=5, unique=True), data=st.data())
@settings(deadline=None)
def test_rows_rotated_in_any_order_are_a_latin_square(puzzles, symbols, data):
    shifts = data.draw(st.permutations(range(len(symbols))))
    text = "\n".join(",".join(symbols[shift:] + symbols[:shift]) for shift in shifts)
    assert puzzles.score_latin_square(text, symbols) == RIGHT
    if len(symbols) > 1:
        repeated = "\n".join(text.split("\n")[:1] * len(symbols))
        assert puzzles.score_latin_square(repeated, symbols) == WRONG


@given(data=st.data())
@settings(deadline=None)
def test_white_space_other_than_a_line_feed_ends_no_row_of_a_latin_square(puzzles, data):
    space = st.text(alphabet="\t\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2028\u2029\u3000 ", max_size=2)
    cells = [[data.draw(space) + cell + data.draw(space) for cell in line.split(",")] for line in SQUARE.split("\n")]
    assert puzzles.score_latin_square("\n".join(map(",".join, cells)), ["A", "B", "C"]) == RIGHT
    assert puzzles.score_latin_square("\r".join(map(",".join, cells)), ["A", "B", "C"]) == WRONG


DIGITS = st.characters(categories=["Nd"])


@given(data=st.data())
@settings(deadline=None)
def test_a_digit_of_another_script_counts_by_its_value(puzzles, data):
    place = data.draw(st.sampled_from([i for i, sign in enumerate(GRID) if sign != "\n"]))
    digit = data.draw(DIGITS)
    changed = GRID[:place] + digit + GRID[place + 1 :]
    same = unicodedata.decimal(digit) == int(GRID[place])
    assert puzzles.score_sudoku(changed, GRID) == (RIGHT if same else WRONG)
    assert puzzles.score_sudoku(GRID[:place] + digit + GRID[place:], GRID) == WRONG


@pytest.mark.parametrize(
    "text", [GRID, f"\n  {GRID}\n\n", GRID.replace("\n", " \r\n"), GRID.replace("\n", "\n\u2028\n")]
)
def test_sudoku_allows_blank_lines_and_whitespace_around_lines_strictly(puzzles, text):
    assert puzzles.score_sudoku(text, GRID) == RIGHT


@pytest.mark.parametrize(
    "text",
    [f"Answer:\n{GRID}", "|".join(GRID).replace("|\n|", "\n"), f"{GRID}\nNot 5 of 12345.", f"the 4x4 grid\n{GRID}"],
)
def test_sudoku_ignores_all_but_the_digits_leniently(puzzles, text):
    assert puzzles.score_sudoku(text, GRID) == LENIENTLY_RIGHT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        GRID[:-1],
        GRID + "1",
        GRID + "\n1234",
        GRID.replace("\n", ""),
        "4321\n2143\n3412\n1234",
        f"in 2024:\n{GRID}",
        GRID.replace("\n", "\r"),
        GRID.replace("\n", "\u2028"),
        GRID.replace("3412", "\u06633412"),
    ],
)
def test_sudoku_refuses_other_grids(puzzles, text):
    assert puzzles.score_sudoku(text, GRID) == WRONG


def test_sudoku_reads_its_answer_like_a_prediction(puzzles):
    assert puzzles.score_sudoku(GRID, " ".join(GRID)) == RIGHT


def test_an_unreadable_answer_is_matched_by_nothing(puzzles):
    assert puzzles.score_sudoku("none", "none") == WRONG
    assert not puzzles.is_sudoku_grid("none")
    assert puzzles.is_sudoku_grid(GRID)
