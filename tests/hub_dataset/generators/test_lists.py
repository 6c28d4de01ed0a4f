"""Tests of the list tasks: what the prompt asks for is what the answer does."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_dataset.configs import config_names, task_info
from hub_dataset.generators import TASK_TYPES
from hub_dataset.generators.lists import LIST_TYPES, format_list

ROWS = st.tuples(st.integers(0, 2**32), st.integers(2, 16), st.sampled_from(["test", "train"]))


def question(kind: str, row: tuple[int, int, str], config: str | None = None):
    """A question of a task type with its input list and its answer list."""
    seed, length, split = row
    task = task_info(config or f"waiting_line_{kind}")
    drawn = task.task_type.make(task, split).draw(random.Random(seed).random, length, frozenset())
    return drawn, json.loads(drawn.fields["context"]), json.loads(drawn.answer)


@pytest.mark.parametrize("kind", LIST_TYPES)
@settings(max_examples=50, deadline=None)
@given(row=ROWS)
def test_answer_does_what_the_task_says(kind, row):
    drawn, items, answer = question(kind, row)
    word = drawn.fields.get("word")
    index = int(drawn.fields["index"]) if "index" in drawn.fields else None
    assert len(items) == len(set(items)) == drawn.length == row[1]
    assert word not in items
    match kind:
        case "copy":
            assert answer == items
        case "reverse":
            assert answer == list(reversed(items))
        case "sort":
            assert sorted(answer) == sorted(items)
            keys = [tuple(reversed(person.split())) for person in answer]
            assert keys == sorted(keys)
        case "shuffle":
            assert sorted(answer) == sorted(items)
            assert answer != items
        case "insert_index" | "insert_random":
            where = answer.index(word)
            assert index in (None, where)
            assert answer[:where] + answer[where + 1 :] == items
        case "remove_index" | "remove_random":
            where = next((place for place, person in enumerate(answer) if person != items[place]), len(answer))
            assert index in (None, where)
            assert answer == items[:where] + items[where + 1 :]
        case "replace_index" | "replace_random":
            where = answer.index(word)
            assert index in (None, where)
            assert answer == [*items[:where], word, *items[where + 1 :]]
        case _:
            pytest.fail(f"no rule for {kind}")


@pytest.mark.parametrize("kind", LIST_TYPES)
def test_reference_holds_what_its_scorer_needs(kind):
    drawn, items, _ = question(kind, (1, 5, "test"))
    expected = {
        "list_match": {"answer": drawn.answer},
        "list_shuffle": {"input": items},
        "list_insert": {"input": items, "word": drawn.fields.get("word")},
        "list_remove": {"input": items, "count": 1},
        "list_replace": {"input": items, "word": drawn.fields.get("word")},
    }
    assert drawn.scoring == expected[TASK_TYPES[kind].scorer]


@pytest.mark.parametrize("kind", LIST_TYPES)
def test_output_format_has_one_mask_for_every_item_of_the_answer(kind):
    drawn, _, answer = question(kind, (2, 6, "test"))
    assert json.loads(drawn.output_format) == ["[MASK]"] * len(answer)


@pytest.mark.parametrize("kind", ["insert_index", "insert_random"])
def test_insertions_reach_the_front_and_the_end(kind):
    places = {a.index(q.fields["word"]) for q, _, a in (question(kind, (seed, 3, "test")) for seed in range(100))}
    assert places == {0, 1, 2, 3}


@pytest.mark.parametrize("kind", ["remove_index", "replace_index"])
def test_asked_positions_are_those_of_the_line(kind):
    assert {question(kind, (seed, 3, "test"))[0].fields["index"] for seed in range(100)} == {"0", "1", "2"}


def test_random_tasks_do_not_tell_a_position():
    for name in config_names():
        if name.startswith(("waiting_line", "case_study")) and name.endswith("_random"):
            assert "index" not in task_info(name).task_type.placeholders


def test_sort_orders_people_of_one_last_name_by_first_name():
    shared = [
        [person for person in answer if person.split()[1] == last]
        for _, _, answer in (question("sort", (seed, 15, "test")) for seed in range(100))
        for last in {person.split()[1] for person in answer}
    ]
    shared = [people for people in shared if len(people) > 1]
    assert shared
    assert all(people == sorted(people) for people in shared)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(2, 16))
def test_case_study_items_are_single_capital_letters(seed, length):
    _, items, answer = question("replace_random", (seed, length, "test"), "case_study_replace_random_n6")
    assert all(len(item) == 1 and "A" <= item <= "Z" for item in items + answer)


def test_lists_are_written_as_in_the_examples_of_the_card():
    assert format_list(["Ada Stone", "Grace Field"]) == '["Ada Stone", "Grace Field"]'
    assert format_list([]) == "[]"
