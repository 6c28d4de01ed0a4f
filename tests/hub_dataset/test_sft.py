"""Tests of the form for fine-tuning: whole conversations, loadable, and never of test."""

import json

import pytest

from hub_dataset import build_rows
from hub_dataset.sft import sft_messages
from hub_dataset.writing import build_dataset

TASKS = ["waiting_line_sort", "puzzle_sudoku_n4_12"]


def test_conversation_ends_with_the_answer_of_the_assistant():
    row = build_rows("waiting_line_sort", "train", 1)[0]
    messages = sft_messages(row)
    assert [message["role"] for message in messages] == ["user", "assistant", "user", "assistant"]
    assert messages[-1]["content"] == row["answer"]
    assert messages[:-1] == row["messages"]
    assert len(row["messages"]) == 3


def test_files_hold_messages_alone_row_by_row(tmp_path):
    output = tmp_path / "sft"
    assert build_dataset(output, TASKS, splits=["train"], rows=20, file_format="sft") == 40
    for task in TASKS:
        lines = (output / task / "train.jsonl").read_text(encoding="utf-8").splitlines()
        expected = [{"messages": sft_messages(row)} for row in build_rows(task, "train", 20)]
        assert [json.loads(line) for line in lines] == expected


def test_training_on_test_is_refused(tmp_path):
    with pytest.raises(ValueError, match="format sft is for training, and test is not"):
        build_dataset(tmp_path / "sft", TASKS, splits=["test", "train"], file_format="sft")
    assert list(tmp_path.iterdir()) == []


def test_all_tasks_load_as_one_and_each_by_its_name(tmp_path):
    import datasets

    output, cache = tmp_path / "sft", str(tmp_path / "cache")
    build_dataset(output, TASKS, splits=["train", "validation"], rows=20, file_format="sft")
    files = str(output / "*" / "train.jsonl")
    together = datasets.load_dataset("json", data_files=files, split="train", cache_dir=cache)
    assert together.num_rows == 40
    assert together.column_names == ["messages"]
    one = datasets.load_dataset(str(output), TASKS[0], cache_dir=cache)
    assert {split: rows.num_rows for split, rows in one.items()} == {"train": 20, "validation": 20}
