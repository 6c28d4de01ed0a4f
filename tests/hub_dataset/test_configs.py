"""Tests of the YAML task files: what is read, and one clear line for everything that is wrong."""

import re

import pytest

from hub_dataset.configs import config_names, task_info
from hub_dataset.generators import TaskType
from hub_dataset.group_files import TASKS, read_group

GOOD = """
category: custom
config_name: my_{task}
settings:
  items: people
  min_length: 3
  max_length: 5
  shots: 0
  rows: 10
  max_new_tokens: 32
  prompt: "{context} {instruction}"
tasks:
  copy: {type: copy, description: d, instruction: Copy.}
"""


def write(folder, text, name="my.yaml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refused(path):
    with pytest.raises(ValueError, match=re.escape(path.name)) as caught:
        read_group(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_file_in_the_folder_is_read():
    assert sum(len(read_group(path)) for path in TASKS.glob("*.yaml")) == len(config_names())


def test_group_is_read_with_its_instruction_in_the_prompt(tmp_path):
    config = read_group(write(tmp_path, GOOD))["my_copy"]
    assert config.prompt == "{context} Copy."
    assert (config.category, config.rows, config.scorer) == ("custom", 10, "list_match")
    assert isinstance(config.task_type, TaskType)


def test_task_goes_before_variant_and_variant_before_settings(tmp_path):
    text = GOOD.replace("my_{task}", "my_{task}_{length}") + "variants: [{min_length: 4, rows: 7}, {min_length: 5}]\n"
    text = text.replace("instruction: Copy.", "instruction: Copy., max_new_tokens: 9")
    configs = read_group(write(tmp_path, text))
    assert {name: (config.rows, config.max_new_tokens) for name, config in configs.items()} == {
        "my_copy_4": (7, 9),
        "my_copy_5": (10, 9),
    }


def test_base_gives_tasks_and_settings(tmp_path):
    write(tmp_path, GOOD)
    derived = "base: my\ncategory: custom\nconfig_name: long_{task}\nsettings: {max_length: 9}\n"
    config = read_group(write(tmp_path, derived, "long.yaml"))["long_copy"]
    assert (config.min_length, config.max_length, config.prompt) == (3, 9, "{context} Copy.")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("min_length: 3", "min_length: 300", "min_length: 300 is above max_length, 5"),
        ("max_length: 5", "max_length: 101", "max_length: 101 is more than the pool of people can fill"),
        ("min_length: 3", "min_length: three", "min_length: 'three' is not a whole number of at least 1"),
        ("min_length: 3", "min_length: 0", "min_length: 0 is not a whole number of at least 1"),
        ("min_length: 3", "min_length: 3.0", "min_length: 3.0 is not a whole number"),
        ("rows: 10", "rows: yes", "rows: True is not a whole number"),
        ("rows: 10", "row: 10", "tasks.copy.row: unknown key (value 10); did you mean 'rows'?"),
        ("  rows: 10\n", "", "tasks.copy.rows: is missing"),
        ("  items: people\n", "", "tasks.copy.items: is missing; the task type copy needs it"),
        ("items: people", "items: cats", "tasks.copy.items: 'cats' is not one of people, letters"),
        ("shots: 0", "shots: 1", "example_max_length: is missing"),
        ("shots: 0", "shots: 0\n  blanks: 4", "blanks: 4 has no use here: the task type copy has no such setting"),
        ("shots: 0", "shots: 0\n  example_min_length: 4", "example_min_length: 4 has no use here: shots is 0"),
        ("type: copy", "type: copi", "tasks.copy.type: 'copi' is not one of copy, reverse"),
        ("type: copy", "type: [copy]", "tasks.copy.type: ['copy'] is blank or not a string"),
        ("type: copy", "type: shuffle, min_length: 1", "min_length: 1 is too short for this task; it needs at least 2"),
        ("type: copy", "type: sudoku, items: people", "tasks.copy.blanks: is missing"),
        ("{context}", "{contxt}", "tasks.copy.prompt: {contxt} is unknown here; this task fills {context}"),
        ("{context}", "list", "tasks.copy.prompt: {context} is missing"),
        ("{context}", "{context", "tasks.copy.prompt: "),
        ("{instruction}", "", "tasks.copy.instruction: the prompt has no {instruction}"),
        ("category: custom", "category: other", "category: 'other' is not one of waiting_line"),
        ("category: custom", "categorie: custom", "categorie: unknown key (value 'custom'); did you mean 'category'?"),
        ("my_{task}", "my_task", "config_name: 'my_task' is not a template with {task}"),
        ("my_{task}", "../{task}", "config_name: '../copy' has characters other than"),
        ("category: custom", "category: custom\nbase: none", "base: 'none' is not another file"),
        ("category: custom", "category: custom\nvariants: 3", "variants: 3 is not a list of settings"),
        ("category: custom", "category: custom\nvariants: [{}, {}]", "'my_copy' is given to two tasks"),
        ("  copy: {type", "  copy: 3\n  other: {type", "tasks.copy: 3 is not a mapping of settings"),
    ],
)
def test_what_is_wrong_is_named_with_file_key_and_value(tmp_path, old, new, message):
    assert old in GOOD
    assert message in refused(write(tmp_path, GOOD.replace(old, new)))


@pytest.mark.parametrize("text", ["tasks: [", "a: b: c", "\ttab: 1", "&x *y"])
def test_malformed_yaml_is_one_line(tmp_path, text):
    assert "is not YAML" in refused(write(tmp_path, text))


@pytest.mark.parametrize("text", ["", "3", "- a", "just words"])
def test_yaml_that_is_no_mapping_is_refused(tmp_path, text):
    assert "is not a mapping" in refused(write(tmp_path, text))


def test_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_bytes(b"category: \xff\xfe")
    assert "is not UTF-8" in refused(path)


def test_letters_run_out_where_question_and_example_need_more_than_the_alphabet(tmp_path):
    shots = "shots: 1\n  example_min_length: 3\n  example_max_length: 6"
    text = GOOD.replace("people", "letters").replace("shots: 0", shots)
    assert read_group(write(tmp_path, text.replace("max_length: 5", "max_length: 20", 1)))
    message = refused(write(tmp_path, text.replace("max_length: 5", "max_length: 21", 1)))
    assert "tasks.copy.max_length: 21 is more than the pool of letters can fill: a row has 26" in message


def test_task_info_describes_a_task():
    info = task_info("puzzle_sudoku_n4_12")
    assert (info.name, info.category, info.max_new_tokens, info.rows) == ("puzzle_sudoku_n4_12", "puzzle", 64, 108)
    assert info.description
