"""Which closed forms hold, told from references: what the names of the benchmark's tasks say, too."""

import json

import pytest

import hub_dataset
from benchmark.theory.references import kind_of_rows
from benchmark.theory.tasks import answer_items, closed_form


@pytest.mark.parametrize("name", [*hub_dataset.default_task_names(), "words_to_sentence_easy", "case_study_shuffle_n6"])
def test_references_say_what_names_say(name: str) -> None:
    rows = hub_dataset.build_rows(name)
    kind = kind_of_rows(rows)
    for length in {row["length"] for row in rows}:
        assert answer_items(kind or "none", length) == answer_items(name, length)
        for order in ("random", "left_to_right"):
            assert closed_form(kind or "none", length, 2, order=order) == closed_form(name, length, 2, order=order)


@pytest.mark.parametrize(
    "reference",
    [
        {"scorer": "list_shuffle", "input": ["a", "b", "a"]},
        {"scorer": "list_shuffle", "input": ["a", "b"]},
        {"scorer": "list_insert", "input": ["a", "b", "c"], "word": "b"},
        {"scorer": "list_remove", "input": ["a", "b", "c"], "count": 2},
        {"scorer": "math_result", "answer": "3"},
    ],
)
def test_where_items_repeat_or_are_others_no_closed_form_holds(reference: dict[str, object]) -> None:
    assert kind_of_rows([{"reference": json.dumps(reference), "length": 3}]) is None


def test_questions_of_two_kinds_have_none() -> None:
    rows = [hub_dataset.build_rows(name)[0] for name in ("waiting_line_shuffle", "waiting_line_insert_random")]
    assert kind_of_rows(rows) is None
