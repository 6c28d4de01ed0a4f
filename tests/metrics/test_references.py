"""Reading references, and what is said about those that cannot be read."""

import pytest


@pytest.fixture(scope="module")
def parse(part):
    scorers = part("parallelbench").SCORERS
    return lambda text: part("references").parse_reference(text, 7, scorers)


def test_values_of_the_scorer_are_read_and_others_ignored(parse):
    reference = parse('{"scorer": "list_insert", "input": ["a"], "word": "b", "example": 1, "task": "waiting_line"}')
    assert (reference.scorer, reference.task) == ("list_insert", "waiting_line")
    assert reference.values == {"input": ["a"], "word": "b"}


def test_task_may_be_absent(parse):
    assert parse('{"scorer": "list_match", "answer": "[]"}').task is None


def test_count_is_one_unless_given(parse):
    assert parse('{"scorer": "list_remove", "input": []}').values["count"] == 1
    assert parse('{"scorer": "list_remove", "input": [], "count": 2}').values["count"] == 2


def test_lone_surrogates_spelled_as_escapes_are_replaced(parse):
    reference = parse(r'{"scorer": "list_insert", "input": ["\ud800a"], "word": "\udc00", "task": "\ud800"}')
    assert reference.values == {"input": ["\ufffda"], "word": "\ufffd"}
    assert reference.task == "\ufffd"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["JSON object", "''"]),
        ("{", ["JSON object", "'{'"]),
        ("[]", ["JSON object", "'[]'"]),
        ('"list_match"', ["JSON object"]),
        ("[" * 200_000, ["JSON object", "nested"]),
        ('{"scorer": ' + "9" * 5000 + "}", ["JSON object"]),
        ("{}", ['"scorer"', "missing", "list_match", "sudoku", "words_to_sentence"]),
        ('{"scorer": "summaries"}', ['"scorer"', "'summaries'", "list_match", "sudoku", "words_to_sentence"]),
        ('{"scorer": "summary"}', ['"summary"', "a string", "missing"]),
        ('{"scorer": "paraphrase", "text": ["a"]}', ['"text"', "a string", "['a']"]),
        ('{"scorer": ["list_match"]}', ['"scorer"', "['list_match']"]),
        ('{"scorer": null}', ['"scorer"', "None"]),
        ('{"scorer": "list_match"}', ['"answer"', "list_match", "a string", "missing"]),
        ('{"scorer": "list_match", "answer": ["a"]}', ['"answer"', "a string", "['a']"]),
        ('{"scorer": "list_match", "answer": "[]", "task": 3}', ['"task"', "a string", "3"]),
        ('{"scorer": "list_shuffle", "input": "a, b"}', ['"input"', "list of strings", "'a, b'"]),
        ('{"scorer": "list_shuffle", "input": ["a", 1]}', ['"input"', "list of strings"]),
        ('{"scorer": "list_insert", "input": []}', ['"word"', "a string", "missing"]),
        ('{"scorer": "list_remove", "input": [], "count": true}', ['"count"', "integer", "True"]),
        ('{"scorer": "list_remove", "input": [], "count": null}', ['"count"', "integer", "None"]),
        ('{"scorer": "list_remove", "input": [], "count": 0}', ['"count"', "1 or more", "0"]),
        ('{"scorer": "list_replace", "word": "a"}', ['"input"', "list of strings", "missing"]),
        ('{"scorer": "latin_square", "symbols": ["A", "A"]}', ['"symbols"', "no two alike", "['A', 'A']"]),
        ('{"scorer": "latin_square", "symbols": []}', ['"symbols"', "one or more"]),
        ('{"scorer": "sudoku", "answer": "1234"}', ['"answer"', "4 lines with 4 digits", "'1234'"]),
        ('{"scorer": "words_to_sentence", "words": []}', ['"words"', "one or more"]),
    ],
)
def test_errors_name_index_key_value_and_what_was_expected_in_one_line(parse, text, words):
    with pytest.raises(ValueError, match=r"^references\[7\]") as caught:
        parse(text)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    assert [word for word in words if word not in message] == []
