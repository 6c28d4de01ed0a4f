"""Tests of tasks of a user's own: every type builds, checks, and names what is wrong with its settings."""

import json
import re

import pytest

from hub_dataset import build_rows, config_names
from hub_dataset.checks import problems_of_config
from hub_dataset.custom import read_custom_tasks, select_tasks
from hub_dataset.generators import TASK_TYPES
from hub_dataset.group_files import WORDINGS
from hub_dataset.yaml_files import read_mapping

GOOD = """
category: custom
config_name: my_{task}
settings:
  min_length: 2
  max_length: 4
  shots: 1
  example_min_length: 2
  example_max_length: 3
  rows: 12
  max_new_tokens: 64
tasks:
  %s
"""
POOL = "pool: [fig, lime, kiwi, plum, pear, peach, apple, mango, cherry]"
PUZZLE = "min_length: 4, max_length: 4, example_min_length: 4, example_max_length: 4"
OF_EVERY_TYPE = {
    **{kind: f"{{type: {kind}, {POOL}}}" for kind in ("copy", "reverse", "sort", "shuffle")},
    **{
        f"{kind}_{position}": f"{{type: {kind}, position: {position}, {POOL}}}"
        for kind in ("insert", "remove", "replace")
        for position in ("index", "random")
    },
    "repeat": f"{{type: repeat, times: 3, {POOL}}}",
    "domino": "{type: domino}",
    "math_op": "{type: math_op, operation: multiply}",
    "cumulative_sum": "{type: cumulative_sum, max_number: 9}",
    "latin_square": f"{{type: latin_square, {PUZZLE}}}",
    "sudoku": f"{{type: sudoku, blanks: 5, {PUZZLE}}}",
}


@pytest.fixture
def read(tmp_path):
    def read(task, text=GOOD):
        path = tmp_path / "my_tasks.yaml"
        path.write_text(text % task, encoding="utf-8")
        return read_custom_tasks(path)

    return read


def test_every_type_with_a_wording_is_covered():
    assert set(OF_EVERY_TYPE) <= set(TASK_TYPES)
    assert set(read_mapping(WORDINGS)) <= set(TASK_TYPES)
    assert set(OF_EVERY_TYPE) <= set(read_mapping(WORDINGS))


@pytest.mark.parametrize("kind", OF_EVERY_TYPE)
def test_task_of_every_type_builds_sound_rows_with_the_wording_of_its_type(read, kind, scorer):
    task = read(f"{kind}: {OF_EVERY_TYPE[kind]}")[f"my_{kind}"]
    assert (task.type, task.category) == (kind, "custom")
    assert problems_of_config(task, None, scorer) == []
    row = build_rows(task)[0]
    assert row["id"] == f"my_{kind}-test-0000"
    assert "{" not in row["prompt"]
    assert "only" in row["prompt"].splitlines()[-1]


@pytest.fixture(scope="module")
def scorer():
    from support import ROOT

    from hub_dataset.checks import load_scorer

    return load_scorer(ROOT / "metrics" / "parallelbench")


def test_items_are_the_users_own(read):
    rows = build_rows(read(f"mine: {{type: shuffle, {POOL}}}")["my_mine"])
    used = {item for row in rows for item in json.loads(row["reference"])["input"]}
    assert used <= set(re.findall(r"\w+", POOL)[1:])
    assert len(used) > 6


def test_own_items_in_a_group_of_the_benchmark(read):
    text = "base: waiting_line\ncategory: custom\nconfig_name: fruit_{task}\nsettings:\n"
    text += "  min_length: 2\n  max_length: 3\n  example_max_length: 3\n  pool: [a, b, c, d, e, f, g, h, i, j]\n"
    tasks = read("", text + "%s")
    assert len(tasks) == 10
    tasks = read(
        "", text.replace("  pool: [a", "  shots: 0\n  pool: [a").replace("example_max_length: 3", "rows: 5") + "%s"
    )
    assert tasks["fruit_copy"].example_max_length == 0
    more = read("", text.replace("  pool", "tasks: {chain: {type: domino, prompt: '{tiles}'}}\n#") + "%s")
    assert [more[f"fruit_{name}"].items for name in ("copy", "chain")] == ["people", ""]
    assert '"Ada' not in build_rows(tasks["fruit_copy"])[0]["prompt"]


def test_task_can_go_back_to_built_in_items(read):
    text = GOOD.replace("settings:\n", f"settings:\n  {POOL}\n")
    task = read("people: {type: copy, items: people}", text)["my_people"]
    assert (task.items, task.pool) == ("people", ())


def test_small_pool_fills_test_and_leaves_what_is_left_to_train(read):
    task = read(
        "few: {type: math_op, operation: add, min_length: 1, max_length: 1, shots: 0, rows: 40}".replace(
            "shots: 0", "example_min_length: 2, example_max_length: 2"
        )
    )["my_few"]
    assert problems_of_config(task, None) == []
    assert len(build_rows(task)) == 40
    with pytest.raises(ValueError, match=r"my_tasks.yaml: tasks.few: my_few: only \d+ rows"):
        build_rows(task, "train", 100)


def test_bucket_that_cannot_be_filled_names_file_key_and_value(read):
    task = read("few: {type: math_op, operation: add, max_length: 2, min_length: 1, rows: 100}")["my_few"]
    with pytest.raises(ValueError, match=r"^my_tasks.yaml: tasks.few.rows: 100: .* of length 1 came up") as caught:
        build_rows(task)
    assert "only 90 rows of test can be filled" in str(caught.value)


def test_example_that_test_leaves_no_question_for_is_one_line_and_no_endless_search(read):
    task = read(
        "few: {type: math_op, operation: add, min_length: 1, max_length: 1, rows: 44,"
        " example_min_length: 1, example_max_length: 1}"
    )["my_few"]
    with pytest.raises(ValueError, match=r"^my_tasks.yaml: tasks.few.example_max_length: 1: "):
        build_rows(task, "train", 1)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("a: {type: insert, items: people}", "tasks.a.position: is missing; the task type insert needs it"),
        ("a: {type: insert, items: people, position: front}", "position: 'front' is not one of index, random"),
        ("a: {type: copy, items: people, position: index}", "position: 'index' has no use here: the task type copy"),
        ("a: {type: insert_index, items: people, position: index}", "position: 'index' has no use here"),
        ("a: {type: stack}", "tasks.a.type: 'stack' is not one of copy, reverse, sort"),
        ("a: {items: people}", "tasks.a.type: is missing"),
        (f"a: {{type: copy, items: people, {POOL}}}", "tasks.a.items: 'people' and a pool are given"),
        ("a: {type: copy}", "tasks.a.items: is missing; the task type copy needs it"),
        (f"a: {{type: domino, {POOL}}}", "has no use here: the task type domino has no such setting"),
        ("a: {type: domino, max_length: 13}", "tasks.a.max_length: 13 is not a number of dominoes from 2 to 12"),
        ("a: {type: domino, min_length: 1}", "tasks.a.min_length: 1 is not a number of dominoes from 2 to 12"),
        ("a: {type: math_op}", "tasks.a.operation: is missing; the task type math_op needs it"),
        ("a: {type: math_op, operation: plus}", "operation: 'plus' is not one of add, subtract, multiply, divide"),
        ("a: {type: math_op, operation: add, max_length: 10}", "max_length: 10 is not a number of digits from 1 to 9"),
        ("a: {type: cumulative_sum, max_number: 1}", "max_number: 1 is not from 2 to 999999999"),
        ("a: {type: cumulative_sum, max_number: 9, min_length: 1}", "min_length: 1 is too short for this task"),
        (f"a: {{type: repeat, times: 1, {POOL}}}", "tasks.a.times: 1 is too few"),
        (f"a: {{type: copy, times: 2, {POOL}}}", "times: 2 has no use here: the task type copy has no such setting"),
        (
            f"a: {{type: copy, max_length: 4, max_new_tokens: 4, {POOL}}}",
            "tasks.a.max_new_tokens: 4 tokens cannot hold",
        ),
        (
            f"a: {{type: repeat, times: 40, {POOL}}}",
            "tasks.a.max_new_tokens: 64 tokens cannot hold a list of 160 items",
        ),
        ("a: {type: copy, pool: [x, y, z]}", "min_length: 2 is more than the pool of your own items can fill"),
        ("a: {type: copy, pool: [x, y, z, u, v, w]}", "max_length: 4 is more than the pool of your own items"),
        ("a: {type: copy, pool: [x, x]}", "tasks.a.pool: 'x' is given twice"),
        ("a: {type: copy, pool: none.txt}", "tasks.a.pool: 'none.txt' cannot be read"),
        (
            "a: {type: copy, items: people, prompt: 'Say {contxt}'}",
            "{contxt} is unknown here; this task fills {context}",
        ),
        ("a: {type: copy, items: people, rows: 5, rows: 6}", "rows: is given twice"),
        ("a: {type: copy, items: people}\n  a: {type: sort, items: people}", "a: is given twice; the second, in line"),
    ],
)
def test_what_is_wrong_is_named_with_file_key_and_value(read, task, message):
    with pytest.raises(ValueError, match=r"^my_tasks\.yaml: ") as caught:
        read(task)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_name_of_a_built_in_task_is_refused(read):
    text = GOOD.replace("my_{task}", "waiting_line_{task}")
    with pytest.raises(ValueError, match=r"config_name: 'waiting_line_copy' .*built-in"):
        read("copy: {type: copy, items: people}", text)


def test_other_category_is_refused(read):
    text = GOOD.replace("category: custom", "category: puzzle")
    with pytest.raises(ValueError, match=r"my_tasks.yaml: category: 'puzzle' is not 'custom'"):
        read("a: {type: domino}", text)


def test_built_in_tasks_stay_as_they_are(read):
    before = config_names()
    read("a: {type: domino}")
    assert config_names() == before


def test_named_tasks_are_selected_once_and_unknown_ones_refused(read, tmp_path):
    tasks = read("a: {type: domino}\n  b: {type: domino}")
    path = tmp_path / "my_tasks.yaml"
    assert [task.name for task in select_tasks(tasks, path, [])] == ["my_a", "my_b"]
    assert [task.name for task in select_tasks(tasks, path, ["my/b", "my-b"])] == ["my_b"]
    with pytest.raises(ValueError, match=r"my_tasks\.yaml: unknown task 'my_c'; did you mean"):
        select_tasks(tasks, path, ["my_c"])


def test_sort_goes_by_the_last_word_whatever_its_case(read):
    task = read("mine: {type: sort, min_length: 4, max_length: 4, rows: 1, shots: 0, pool: [b, C, a D, A]}")["my_mine"]
    assert build_rows(task)[0]["answer"] == '["A", "b", "C", "a D"]'
