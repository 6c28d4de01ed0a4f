"""Tests of single rows of the original data: how messages, answers and references are made, and what is refused."""

import copy
import json

import pytest

from hub_dataset.importing_rows import OriginalTask, convert_row, placeholders, scorer_of_name
from hub_dataset.rows import COLUMNS

LIST = OriginalTask("original_waiting_line_insert_index", "list_match", 'Put "{word}" at {index}:\n{context}', 1)
ROW = {
    "input": {
        "context": '["A", "B"]',
        "word": "C",
        "index": 0,
        "icl_examples": [
            {"input": {"context": '["D"]', "word": "{index}", "index": 1}, "answer": '["D", "{index}"]', "metadata": {}}
        ],
    },
    "answer": '["C", "A", "B"]',
    "output_format": '["[MASK]", "[MASK]", "[MASK]"]',
    "metadata": {"length": 2, "word": "C", "index": 0},
}


def changed(row, path, value):
    row = copy.deepcopy(row)
    *parents, last = path
    part = row
    for key in parents:
        part = part[key]
    if value is KeyError:
        del part[last]
    else:
        part[last] = value
    return row


def task(scorer, template="{x}", examples=None, config="original_t"):
    return OriginalTask(config, scorer, template, examples)


def test_row_of_the_first_edition_gets_its_chat_from_the_template():
    row = convert_row(LIST, ROW, 7)
    assert list(row) == list(COLUMNS)
    assert row["id"] == "original_waiting_line_insert_index-test-0007"
    assert row["messages"] == [
        {"role": "user", "content": 'Put "{index}" at 1:\n["D"]'},
        {"role": "assistant", "content": '["D", "{index}"]'},
        {"role": "user", "content": 'Put "C" at 0:\n["A", "B"]'},
    ]
    assert row["prompt"] == 'Put "C" at 0:\n["A", "B"]'
    assert json.loads(row["reference"]) == {"scorer": "list_match", "task": LIST.config, "answer": ROW["answer"]}
    assert (row["answer"], row["output_format"], row["length"]) == (ROW["answer"], ROW["output_format"], 2)
    assert (row["category"], row["max_new_tokens"]) == ("waiting_line", 32)


def test_backslash_and_n_become_a_line_break_after_filling():
    row = {"input": {"sudoku": "1\\n2\n3"}, "answer": "1234\n3412\n2143\n4321"}
    assert convert_row(task("sudoku", "Go.\\n\\n{sudoku}\\n"), row, 0)["prompt"] == "Go.\n\n1\n2\n3\n"


@pytest.mark.parametrize(
    ("scorer", "answer", "expected_answer", "scoring", "length"),
    [
        ("list_match", '["a", "b"]', '["a", "b"]', {"answer": '["a", "b"]'}, 2),
        ("sudoku", "1234\n3412\n2143\n4321", "1234\n3412\n2143\n4321", {"answer": "1234\n3412\n2143\n4321"}, 4),
        ("list_shuffle", {"input": ["a", "b"], "example": "x"}, "x", {"input": ["a", "b"]}, 2),
        ("list_remove", {"input": ["a", "b"], "example": "x"}, "x", {"input": ["a", "b"], "count": 1}, 2),
        ("list_insert", {"input": ["a"], "word": "w", "example": "x"}, "x", {"input": ["a"], "word": "w"}, 1),
        ("list_replace", {"input": ["a"], "word": "w", "example": "x"}, "x", {"input": ["a"], "word": "w"}, 1),
        ("latin_square", {"symbols": ["A", "1"], "example": "A,1\n1,A"}, "A,1\n1,A", {"symbols": ["A", "1"]}, 2),
        ("words_to_sentence", {"words": ["a", "b"]}, "", {"words": ["a", "b"]}, 2),
        ("words_to_sentence", {"words": ["a"], "example": "A."}, "A.", {"words": ["a"]}, 1),
        ("paraphrase", {"text": "t", "examples": "['p', \"q's\"]"}, "p", {"text": "t"}, 1),
        ("paraphrase", {"text": "t", "examples": ["p", "q"]}, "p", {"text": "t"}, 1),
        ("summary", {"text": "t", "summary": "s"}, "s", {"summary": "s"}, 1),
    ],
)
def test_answer_and_reference_of_every_scorer(scorer, answer, expected_answer, scoring, length):
    row = convert_row(task(scorer), {"input": {"x": 1}, "answer": answer}, 0)
    assert row["answer"] == expected_answer
    assert json.loads(row["reference"]) == {"scorer": scorer, "task": "original_t", **scoring}
    assert (row["length"], row["output_format"]) == (length, "")


@pytest.mark.parametrize("label", [{"text": "t", "summary": "s"}, '{"text": "t", "summary": "s"}'])
def test_row_of_the_later_edition_brings_its_chat(label):
    messages = [{"content": "s", "role": "system"}, {"content": "literal \\n", "role": "user"}]
    later = {"messages": messages, "label": label, "metadata": None, "index": 0, "output_prefix": None}
    row = convert_row(task("summary", None), later, 3)
    assert row["messages"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "literal \\n"}]
    assert (row["prompt"], row["answer"], row["id"]) == ("literal \\n", "s", "original_t-test-0003")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["input"], KeyError, "input is missing"),
        (["input"], "text", "input is 'text', not an object"),
        (["input", "word"], KeyError, "input.word is None, but the prompt wants a string or a number there"),
        (["input", "index"], True, "input.index is True, but"),
        (["input", "icl_examples"], KeyError, "input.icl_examples holds 0 examples, not 1 as the task says"),
        (["input", "icl_examples"], {}, "holds 0 examples"),
        (["input", "icl_examples"], "x", "input.icl_examples is 'x', not a list"),
        (["input", "icl_examples", 0], 3, "input.icl_examples[0] is 3, not an object"),
        (["input", "icl_examples", 0, "input"], [], "input.icl_examples[0].input is [], not an object"),
        (["input", "icl_examples", 0, "answer"], {"input": []}, "input.icl_examples[0].answer is missing"),
        (["answer"], KeyError, "the answer is missing"),
        (["answer"], ["C"], "the answer is ['C'], not a string"),
        (["output_format"], 3, "the output format is 3, not a string"),
    ],
)
def test_row_of_an_unknown_form_says_what_is_wrong(path, value, message):
    with pytest.raises(ValueError, match=r".") as caught:
        convert_row(LIST, changed(ROW, path, value), 0)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("scorer", "answer", "message"),
    [
        ("list_insert", {"input": ["a"], "example": "x"}, "answer.word is missing"),
        ("list_shuffle", {"input": "ab", "example": "x"}, "answer.input is 'ab', not a list of strings"),
        ("list_shuffle", {"input": ["a"], "example": None}, "answer.example is missing"),
        ("list_shuffle", "x", "the answer is 'x', not an object"),
        ("latin_square", {"symbols": [1, 2], "example": "x"}, "answer.symbols is [1, 2], not a list of strings"),
        ("words_to_sentence", {"words": []}, "answer.words is [], not a list of strings"),
        ("paraphrase", {"text": "t", "examples": "['p'"}, "not a list of strings"),
        ("paraphrase", {"text": "t", "examples": "__import__('os')"}, "not a list of strings"),
        ("paraphrase", {"text": "t", "examples": "[" * 10_000}, "not a list of strings"),
        ("paraphrase", {"examples": ["p"]}, "answer.text is missing"),
        ("summary", {"text": "t"}, "answer.summary is missing"),
    ],
)
def test_answer_of_an_unknown_form_says_what_is_wrong(scorer, answer, message):
    with pytest.raises(ValueError, match=r".") as caught:
        convert_row(task(scorer), {"input": {"x": ""}, "answer": answer}, 0)
    assert message in str(caught.value)


@pytest.mark.parametrize("messages", [None, [], [{"role": "assistant", "content": "x"}], [{"role": "user"}], ["x"]])
def test_chat_of_an_unknown_form_is_refused(messages):
    with pytest.raises(ValueError, match="messages"):
        convert_row(task("list_match", None), {"messages": messages, "label": "[]"}, 0)


@pytest.mark.parametrize("content", [None, [], "x", 3])
def test_row_that_is_no_object_is_refused(content):
    with pytest.raises(ValueError, match="the row is"):
        convert_row(LIST, content, 0)


@pytest.mark.parametrize(
    ("config", "scorer", "category", "tokens"),
    [
        ("original_waiting_line_sort", "list_match", "waiting_line", 32),
        ("original_waiting_line_n15_sort", "list_match", "waiting_line", 128),
        ("original2026_waiting_line_n15_shuffle", "list_shuffle", "waiting_line", 128),
        ("original_puzzle_sudoku_n4_12", "sudoku", "puzzle", 64),
        ("original_words_to_sentence_easy_n1", "words_to_sentence", "text_writing", 64),
    ],
)
def test_protocol_is_that_of_our_own_tasks_of_the_kind(config, scorer, category, tokens):
    original = task(scorer, config=config)
    assert (original.category, original.max_new_tokens) == (category, tokens)


@pytest.mark.parametrize(
    ("name", "scorer"),
    [
        *[(f"waiting_line_{name}", "list_match") for name in ("copy", "reverse", "sort")],
        *[(f"waiting_line_n15_{name}_index", "list_match") for name in ("insert", "remove", "replace")],
        ("waiting_line_shuffle", "list_shuffle"),
        ("waiting_line_insert_random", "list_insert"),
        ("waiting_line_n15_remove_random", "list_remove"),
        ("waiting_line_replace_random", "list_replace"),
        ("puzzle_latin_square_n4", "latin_square"),
        ("puzzle_sudoku_n4_8", "sudoku"),
        ("words_to_sentence_hard_n7", "words_to_sentence"),
        ("paraphrase_summarize_chatgpt_paraphrases", "paraphrase"),
        ("paraphrase_summarize_samsum", "summary"),
        ("something_else", None),
    ],
)
def test_names_of_the_later_edition_tell_the_scorer(name, scorer):
    assert scorer_of_name(name) == scorer


def test_placeholders_of_a_template():
    assert placeholders("{a} and {b}\\n{a}") == ["a", "b", "a"]
    for template in ("{a", "{a!r}", "{a:>5}"):
        with pytest.raises(ValueError, match=r"."):
            placeholders(template)
