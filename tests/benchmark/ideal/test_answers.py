"""Enumeration of valid answers: numbers, forms, agreement with the scorers' rules, and refusals."""

import json
import subprocess
import sys
from collections import Counter
from itertools import permutations, product
from math import factorial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.ideal.answers import (
    answer_form,
    is_enumerable,
    join_items,
    reference_items,
    split_items,
    valid_answers,
)

LINE = ["Ada Stone", "Ben Field", "Cleo Rivers"]

items = st.sampled_from(["a", "b", "c", "d"])
lines = st.lists(items, max_size=4)


def lists_of(answers):
    return [json.loads(answer) for answer in answers]


def all_lists(length):
    return [list(cells) for cells in product("abcde", repeat=length)]


def test_match_accepts_its_answer_alone():
    answer = '["Ada Stone", "Ben Field"]'
    assert valid_answers({"scorer": "list_match", "answer": answer}) == [answer]
    assert valid_answers(json.dumps({"scorer": "list_match", "answer": answer})) == [answer]


def test_shuffle_leaves_out_the_input_unless_told_otherwise():
    reference = {"scorer": "list_shuffle", "input": LINE}
    without, everything = valid_answers(reference), valid_answers(reference, include_input=True)
    assert len(without) == 5
    assert sorted(map(tuple, lists_of(everything))) == sorted(permutations(LINE))
    assert set(everything) - set(without) == {'["Ada Stone", "Ben Field", "Cleo Rivers"]'}


@given(lines)
def test_shuffle_accepts_exactly_the_distinct_reorderings(line):
    expected = sorted(set(permutations(line)) - {tuple(line)})
    reference = {"scorer": "list_shuffle", "input": line}
    if expected:
        found = lists_of(valid_answers(reference))
        assert sorted(map(tuple, found)) == expected
        assert is_enumerable(reference)
    else:
        assert not is_enumerable(reference)
        with pytest.raises(ValueError, match="accepts no answer"):
            valid_answers(reference)


def test_insert_puts_the_word_at_every_place():
    reference = {"scorer": "list_insert", "input": ["a", "b"], "word": "w"}
    assert valid_answers(reference) == ['["w", "a", "b"]', '["a", "w", "b"]', '["a", "b", "w"]']


@given(lines, items)
def test_insert_accepts_exactly_what_is_the_input_without_one_word(line, word):
    def scorer_accepts(answer):
        return any(
            answer[:place] + answer[place + 1 :] == line and answer[place] == word for place in range(len(answer))
        )

    expected = sorted(answer for answer in all_lists(len(line) + 1) if scorer_accepts(answer))
    found = lists_of(valid_answers({"scorer": "list_insert", "input": line, "word": word}))
    assert sorted(found) == expected


@given(lines, items)
def test_replace_accepts_exactly_what_the_scorer_does(line, word):
    def scorer_accepts(answer):
        if len(answer) != len(line) or word not in answer:
            return False
        place = answer.index(word)
        return answer == [*line[:place], word, *line[place + 1 :]]

    expected = sorted(answer for answer in all_lists(len(line)) if scorer_accepts(answer))
    reference = {"scorer": "list_replace", "input": line, "word": word}
    found = lists_of(valid_answers(reference)) if expected else []
    assert sorted(found) == expected


@given(lines, st.integers(0, 3))
def test_remove_accepts_exactly_what_the_scorer_does(line, count):
    def is_subsequence(answer):
        rest = iter(line)
        return all(item in rest for item in answer)

    def scorer_accepts(answer):
        gone = Counter(line) - Counter(answer)
        return is_subsequence(answer) and set(gone.values()) <= {1} and not set(gone) & set(answer)

    expected = []
    if count <= len(line):
        expected = sorted(answer for answer in all_lists(len(line) - count) if scorer_accepts(answer))
    reference = {"scorer": "list_remove", "input": line, "count": count}
    found = lists_of(valid_answers(reference)) if expected else []
    assert sorted(found) == expected


def test_remove_takes_one_item_unless_a_count_is_given():
    assert valid_answers({"scorer": "list_remove", "input": ["a", "b"]}) == ['["b"]', '["a"]']
    assert valid_answers({"scorer": "list_remove", "input": ["a", "b"], "count": 2}) == ["[]"]


@pytest.mark.parametrize(("side", "number"), [(1, 1), (2, 2), (3, 12), (4, 576)])
def test_latin_squares_are_all_there_and_correct(side, number):
    symbols = list("K7AZ")[:side]
    answers = valid_answers({"scorer": "latin_square", "symbols": symbols})
    assert len(set(answers)) == len(answers) == number
    for answer in answers:
        rows = [line.split(",") for line in answer.split("\n")]
        assert len(rows) == side
        assert all(sorted(line) == sorted(symbols) for line in [*rows, *map(list, zip(*rows, strict=True))])


def test_sudoku_accepts_its_solution_alone():
    solution = "1234\n3412\n2143\n4321"
    assert valid_answers({"scorer": "sudoku", "answer": solution}) == [solution]


@pytest.mark.parametrize(
    ("reference", "limit", "number"),
    [
        ({"scorer": "list_shuffle", "input": [str(i) for i in range(15)]}, 50_000, f"{factorial(15) - 1:,}"),
        ({"scorer": "list_shuffle", "input": LINE}, 4, "5 answers"),
        ({"scorer": "latin_square", "symbols": list("abcde")}, 50_000, "161,280"),
        ({"scorer": "latin_square", "symbols": list("abcdefghijkl")}, 50_000, "more than"),
        ({"scorer": "list_insert", "input": LINE, "word": "w"}, 3, "4 answers"),
    ],
)
def test_too_many_answers_are_refused_with_their_number(reference, limit, number):
    assert not is_enumerable(reference, limit=limit)
    with pytest.raises(ValueError, match=f"{reference['scorer']}.*{number}.*{limit:,}"):
        valid_answers(reference, limit=limit)


def test_the_limit_itself_is_allowed():
    reference = {"scorer": "list_shuffle", "input": LINE}
    assert is_enumerable(reference, limit=5)
    assert len(valid_answers(reference, limit=5)) == 5


@pytest.mark.parametrize("scorer", ["words_to_sentence", "summary", "paraphrase", "no_such_scorer"])
def test_open_scorers_are_refused_by_name(scorer):
    assert not is_enumerable({"scorer": scorer})
    with pytest.raises(ValueError, match=scorer):
        valid_answers({"scorer": scorer})


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("{", "JSON"),
        ("[]", "scorer"),
        ("{}", "scorer"),
        ({"scorer": 3}, "scorer"),
        ({"scorer": "list_shuffle"}, "input"),
        ({"scorer": "list_shuffle", "input": "abc"}, "input"),
        ({"scorer": "list_shuffle", "input": [1]}, "input"),
        ({"scorer": "list_insert", "input": ["a"]}, "word"),
        ({"scorer": "list_remove", "input": ["a"], "count": "1"}, "count"),
        ({"scorer": "list_remove", "input": ["a"], "count": -1}, "count"),
        ({"scorer": "list_match", "answer": "not a list"}, "answer"),
        ({"scorer": "sudoku"}, "answer"),
        ({"scorer": "latin_square", "symbols": []}, "symbols"),
        ({"scorer": "latin_square", "symbols": ["a", "a"]}, "symbols"),
    ],
)
def test_malformed_references_are_refused_in_one_line_that_names_the_key(reference, message):
    assert not is_enumerable(reference)
    with pytest.raises(ValueError, match=message) as caught:
        valid_answers(reference)
    assert "\n" not in str(caught.value)


def test_every_made_up_answer_is_among_the_valid_ones(mixed_rows):
    for row in mixed_rows:
        assert row["answer"] in valid_answers(row["reference"])


def test_items_split_and_join_back(mixed_rows):
    for row in mixed_rows:
        form = answer_form(row["reference"])
        known = set(reference_items(row["reference"]))
        for answer in valid_answers(row["reference"]):
            found = split_items(answer, form)
            assert join_items(found, form) == answer
            assert set(found) <= known


def test_enumeration_needs_neither_torch_nor_transformers():
    code = (
        "import sys; from benchmark.ideal import valid_answers, is_enumerable; "
        "assert not {'torch', 'transformers', 'tokenizers', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=_root())


def _root():
    from support import ROOT

    return ROOT
