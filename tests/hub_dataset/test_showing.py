"""Tests of showing rows: nothing lost in a pipe, readable in a narrow terminal."""

from io import StringIO

from rich.console import Console

from hub_dataset import build_rows
from hub_dataset.showing import plain_text, print_rows


def test_plain_text_has_every_part_and_aligns_further_lines():
    row = build_rows("puzzle_sudoku_n4_12", rows=1)[0]
    lines = plain_text(row).split("\n")
    assert lines[0] == "puzzle_sudoku_n4_12-test-0000  length 4, 64 new tokens"
    labels = [line.split()[0] for line in lines[1:] if not line.startswith(" " * 3)]
    assert labels == ["user", "assistant", "user", "answer", "form", "reference"]
    start = next(index for index, line in enumerate(lines) if line.startswith("  answer"))
    assert "\n".join(line[13:] for line in lines[start : start + 4]) == row["answer"]


def test_part_that_is_empty_is_left_out():
    row = build_rows("waiting_line_copy", rows=1)[0] | {"output_format": ""}
    assert "  form" not in plain_text(row)


def test_terminal_output_keeps_to_its_width_and_loses_nothing():
    row = build_rows("waiting_line_copy", rows=1)[0]
    output = StringIO()
    print_rows([row, row], Console(width=60, file=output, color_system=None))
    text = output.getvalue()
    assert text.count(row["id"]) == 2
    assert max(map(len, text.splitlines())) <= 60
    words = text.split()
    assert all(word in words for word in row["answer"].split())
