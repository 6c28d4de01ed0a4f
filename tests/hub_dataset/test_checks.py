"""Tests of the checks: each of them finds what it is there for."""

import json

import pytest
from loopback_languagetool import loopback_languagetool

from hub_dataset import build_rows, checksum, task_info
from hub_dataset.checks import problems_of_config, problems_of_rows, read_checksums, write_checksums
from hub_dataset.grammar import GrammarChecker
from hub_dataset.unavailable import UnavailableError

TASK = "waiting_line_shuffle"


@pytest.fixture
def rows():
    return build_rows(TASK, rows=4)


def problems(rows):
    return problems_of_rows(task_info(TASK), "test", rows)


def test_rows_as_built_have_no_problem(rows):
    assert problems(rows) == []


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("id", f"{TASK}-test-0003", "id is"),
        ("task", "other", "task is 'other'"),
        ("length", "3", "length is str, not int"),
        ("length", 7, "length is 7, not from 3 to 6"),
        ("max_new_tokens", 64, "max_new_tokens is 64, not 32"),
        ("prompt", "Hello?", "the last message is not the prompt"),
        ("messages", [{"role": "user", "content": "?"}], "messages have the roles ['user']"),
        ("reference", "{", "reference is not JSON"),
        ("reference", "[]", "reference does not name the scorer list_shuffle"),
        ("reference", '{"scorer": "list_match"}', "reference does not name the scorer list_shuffle"),
    ],
)
def test_breach_of_the_schema_is_named_with_its_row(rows, column, value, message):
    rows[1] = rows[1] | {column: value}
    assert f"{TASK}-test-0001: {message}" in problems(rows)[0]


def test_missing_column_is_found(rows):
    del rows[2]["answer"]
    assert problems(rows)[0].startswith(f"{TASK}-test-0002: columns are id, task")


def test_question_asked_twice_is_found(rows):
    rows[3] = rows[0] | {"id": f"{TASK}-test-0003"}
    assert problems(rows) == [f"{TASK}-test-0003: asks the question of {TASK}-test-0000 again"]


def test_other_checksum_and_missing_checksum_are_found():
    actual = checksum(build_rows(TASK))
    assert problems_of_config(TASK, {TASK: {"test": actual}}) == []
    assert problems_of_config(TASK, {TASK: {"test": "0"}}) == [
        f"{TASK}: test: checksum is {actual}, checksums.json has 0"
    ]
    assert problems_of_config(TASK, {}) == [f"{TASK}: test: checksums.json has no checksum"]


def test_question_of_test_in_train_is_found(monkeypatch):
    def same_rows(config, split="test", rows=None):
        return [row | {"id": row["id"].replace("test", split)} for row in build_rows(config)]

    monkeypatch.setattr("hub_dataset.checks.build_rows", same_rows)
    found = problems_of_config(TASK, read_checksums())
    assert f"{TASK}-train-0000: contains a question of test" in found
    assert len(found) == 200


def test_answer_that_does_not_score_100_is_found():
    def score(predictions, references):
        assert all(json.loads(reference)["scorer"] == "list_shuffle" for reference in references)
        return [1.0] * 99 + [0.5]

    assert problems_of_config(TASK, read_checksums(), score) == [
        f"{TASK}-test-0099: its answer scores 50 against its own reference, not 100"
    ]


def test_written_checksums_are_read_back_and_equal_the_recorded_ones(tmp_path):
    path = tmp_path / "checksums.json"
    write_checksums(path)
    assert read_checksums(path) == read_checksums()
    assert [entry.name for entry in tmp_path.iterdir()] == ["checksums.json"]


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[1]", "is not a mapping"), (None, "is missing")])
def test_unreadable_checksums_are_one_line(tmp_path, text, message):
    path = tmp_path / "checksums.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_checksums(path)


def test_answers_of_open_text_tasks_need_no_score_and_must_not_repeat_the_text(monkeypatch):
    config = "text_writing_paraphrase"

    def refuse(predictions, references):
        raise AssertionError("an open text task was scored")

    assert problems_of_config(config, read_checksums(), refuse) == []
    rows = build_rows(config)
    rows[7]["answer"] = json.loads(rows[7]["reference"])["text"].upper()
    monkeypatch.setattr(
        "hub_dataset.checks.build_rows", lambda *arguments: build_rows(*arguments) if len(arguments) > 1 else rows
    )
    recorded = {config: {"test": checksum(rows)}}
    assert problems_of_config(config, recorded) == [f"{config}-test-0007: its answer stands in the question"]


def test_sentence_of_test_is_not_an_answer_of_train(monkeypatch):
    config = "words_to_sentence_hard"
    sentence = build_rows(config)[5]["answer"]

    def with_a_sentence_of_test(*arguments):
        rows = build_rows(*arguments)
        if arguments[1:2] == ("validation",):
            rows[3]["answer"] = sentence
        return rows

    monkeypatch.setattr("hub_dataset.checks.build_rows", with_a_sentence_of_test)
    assert problems_of_config(config, read_checksums()) == [f"{config}-validation-0003: its answer is one of test"]


def test_answers_of_open_text_tasks_are_grammatical_where_there_is_a_checker():
    config = "text_writing_summarize"
    answers = [row["answer"] for row in build_rows(config)]
    with loopback_languagetool({answers[3]: "SOME_RULE"}) as server:
        found = problems_of_config(config, read_checksums(), grammar=GrammarChecker(server.url))
    assert found == [f"{config}-test-0003: its answer is not grammatical: SOME_RULE"]
    assert sorted(text for _, text in server.log) == sorted(answers)


def test_checksum_of_what_cannot_be_built_here_is_kept(tmp_path, monkeypatch):
    monkeypatch.delenv("PARALLELBENCH_LANGUAGETOOL_URL", raising=False)
    with pytest.raises(UnavailableError):
        build_rows("paraphrase_summarize_samsum")
    path = tmp_path / "checksums.json"
    path.write_text(json.dumps({"paraphrase_summarize_samsum": {"test": "1" * 64}, "gone": {"test": "2" * 64}}))
    written = write_checksums(path)
    assert written["paraphrase_summarize_samsum"] == {"test": "1" * 64}
    assert "gone" not in written
    assert "paraphrase_summarize_chatgpt_paraphrases" not in written
