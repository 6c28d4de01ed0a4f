"""Datasets in directories, read back into rows: our own, anybody's with our columns, and what is wrong with others."""

import json
from pathlib import Path
from typing import Any

import pytest

import hub_dataset
from hub_dataset.reading import count_items, read_directory
from hub_dataset.writing import build_dataset

ROW = {
    "prompt": "Shuffle: a, b, c",
    "answer": '["b", "a", "c"]',
    "reference": '{"scorer": "list_shuffle", "input": ["a", "b", "c"]}',
    "max_new_tokens": 16,
}


def write(directory: Path, *rows: dict[str, Any], name: str = "test.jsonl") -> Path:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return directory


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_what_build_writes_is_read_as_it_was(tmp_path: Path, file_format: str) -> None:
    names = ["waiting_line_copy", "puzzle_sudoku_n4_12"]
    build_dataset(tmp_path / "built", names, splits=("test", "train"), rows=5, file_format=file_format)
    assert read_directory(tmp_path / "built") == {name: hub_dataset.build_rows(name) for name in names}


def test_what_a_row_lacks_is_filled_in(tmp_path: Path) -> None:
    found = read_directory(write(tmp_path / "My-Data", ROW, {**ROW, "max_new_tokens": 32}, name="only.jsonl"))
    (first, second) = found["my_data"]
    assert first["messages"] == [{"role": "user", "content": ROW["prompt"]}]
    assert (first["task"], first["length"], first["category"]) == ("my_data", 3, "custom")
    assert first["id"] != second["id"]
    assert first["max_new_tokens"] == second["max_new_tokens"] == 32
    assert len(hub_dataset.checksum([first])) == 64


def test_the_column_task_names_the_task_and_an_object_is_a_reference(tmp_path: Path) -> None:
    others = {"scorer": "list_match", "answer": "[]"}
    rows = [{**ROW, "task": "one", "reference": json.loads(ROW["reference"])}, {**ROW, "task": "two"}]
    found = read_directory(write(tmp_path / "data", rows[0], {**rows[0], "reference": others}))
    assert list(found) == ["one"]
    assert [json.loads(row["reference"]) for row in found["one"]] == [rows[0]["reference"], others]
    assert list(read_directory(write(tmp_path / "both", {**ROW, "task": "one"}, rows[1]))) == ["one", "two"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"answer": None}, ["row 0", "answer", "missing"]),
        ({"prompt": None}, ["messages", "prompt"]),
        ({"reference": "no JSON"}, ["reference", "no JSON"]),
        ({"reference": '{"scorer": "list_shufle"}'}, ["list_shufle", "list_shuffle"]),
        ({"max_new_tokens": "many"}, ["max_new_tokens", "many"]),
        ({"max_new_tokens": 0}, ["max_new_tokens", "0"]),
        ({"messages": [{"role": "assistant", "content": "x"}]}, ["messages", "user"]),
        ({"task": "!?"}, ["task", "!?"]),
    ],
)
def test_what_is_wrong_with_a_row_is_one_line(tmp_path: Path, change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValueError, match="data") as error:
        read_directory(write(tmp_path / "data", {**ROW, **change}))
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


def test_ids_must_differ(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="twice"):
        read_directory(write(tmp_path / "data", {**ROW, "id": "q"}, {**ROW, "id": "q"}))


def test_directories_without_a_dataset_are_named(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match=r"nothing.*empty"):
        read_directory(tmp_path / "nothing")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "test.jsonl").write_text("{not JSON\n", encoding="utf-8")
    with pytest.raises(ValueError, match="broken") as error:
        read_directory(tmp_path / "broken")
    assert "\n" not in str(error.value)
    write(tmp_path / "two", ROW, name="train.jsonl")
    write(tmp_path / "two", ROW, name="validation.jsonl")
    with pytest.raises(ValueError, match=r"no split test.*train.*validation"):
        read_directory(tmp_path / "two")


def test_items_are_counted_as_the_column_length_counts_them() -> None:
    for name in ("waiting_line_shuffle", "waiting_line_insert_random", "puzzle_latin_square_n4", "puzzle_sudoku_n4_12"):
        for row in hub_dataset.build_rows(name)[:8]:
            assert count_items(json.loads(row["reference"])) == row["length"]
    assert count_items({"scorer": "math_result", "answer": "3"}) == 0
