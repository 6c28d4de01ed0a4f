"""Words to sentence: nested lists in one order, levels apart, and answers that hold every word."""

import json
import os
import re
from dataclasses import replace
from itertools import combinations

import pytest

import hub_dataset
from hub_dataset.generators.words_to_sentence import MENTIONED
from hub_dataset.grammar import URL_VARIABLE, GrammarChecker
from hub_dataset.group_files import read_group
from hub_dataset.text_files import read_word_lists
from hub_dataset.text_sources import SOURCES

LEVELS = ("easy", "medium", "hard")
LENGTHS = (1, 3, 4, 5, 6, 7)


def lists(level):
    return read_word_lists(SOURCES / f"words_to_sentence_{level}.yaml")


def words_of(row):
    return json.loads(row["reference"])["words"]


@pytest.mark.parametrize("level", LEVELS)
def test_every_row_asks_for_the_first_words_of_its_list_at_every_length(level):
    for length in LENGTHS:
        rows = hub_dataset.build_rows(f"words_to_sentence_{level}_n{length}")
        assert [tuple(words_of(row)) for row in rows] == [entry.words[:length] for entry in lists(level)]
        assert {row["length"] for row in rows} == {length}
    four = hub_dataset.build_rows(f"words_to_sentence_{level}_n4")
    base = hub_dataset.build_rows(f"words_to_sentence_{level}")
    assert [words_of(row) for row in base] == [words_of(row) for row in four]


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_has_100_different_lists_of_seven_plain_words(level):
    entries = lists(level)
    assert len(entries) == 100
    for entry in entries:
        assert len(entry.words) == 7
        assert all(re.fullmatch("[a-z]+", word) for word in entry.words)
    for one, other in combinations(entries, 2):
        assert len(set(one.words) & set(other.words)) <= 3, (one, other)
    used = [word for entry in entries for word in entry.words]
    assert max(used.count(word) for word in set(used)) <= 4


def test_levels_are_apart():
    easy, medium, hard = ({word for entry in lists(level) for word in entry.words} for level in LEVELS)
    assert len(hard & (easy | medium)) <= 0.06 * len(hard)
    assert len(medium & easy) <= 0.3 * len(medium)
    mean_letters = [sum(map(len, words)) / len(words) for words in (easy, medium, hard)]
    assert mean_letters == sorted(mean_letters)


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize(
    "config", ["words_to_sentence_easy", "words_to_sentence_hard_n7", "words_to_sentence_medium_n3"]
)
def test_drawn_sentences_hold_their_words_and_repeat_no_list_of_test(config, split):
    asked = {frozenset(words_of(row)) for row in hub_dataset.build_rows(config)}
    rows = hub_dataset.build_rows(config, split, 500)
    for row in rows:
        words = words_of(row)
        assert all(word in row["answer"] for word in words)
        assert not any(one in other for one in words for other in words if one is not other)
        assert frozenset(words) not in asked
    assert len({row["prompt"] for row in rows}) == 500


def test_a_share_of_training_sentences_mentions_words_of_the_lists_and_others_use_their_words():
    rows = hub_dataset.build_rows("words_to_sentence_medium", "train", 2000)
    mentions = [row for row in rows if ": " in row["answer"]]
    assert 0.8 * MENTIONED < len(mentions) / len(rows) < 1.2 * MENTIONED
    listed = {word for entry in lists("medium") for word in entry.words}
    assert all(set(words_of(row)) <= listed for row in mentions)
    assert len({row["answer"] for row in rows}) > 1990


def test_without_a_vocabulary_training_sentences_only_mention_words():
    task = replace(hub_dataset.task_info("words_to_sentence_easy"), vocabulary="")
    assert all(": " in row["answer"] for row in hub_dataset.build_rows(task, "train", 100))


def test_longer_lists_than_the_grammar_fills_are_refused(tmp_path):
    words = "[ant, bee, cat, dog, elk, fox, gnu, hen, ibis]"
    (tmp_path / "mine.yaml").write_text(f"- {{words: {words}, sentence: ant bee cat dog elk fox gnu hen ibis}}")
    path = tmp_path / "my.yaml"
    path.write_text(
        "category: custom\nconfig_name: my_{task}\ntasks:\n  nine: {type: words_to_sentence, source: mine.yaml,"
        " shots: 0, rows: 1, max_new_tokens: 64, min_length: 4, max_length: 9, vocabulary: mixed}\n"
    )
    with pytest.raises(ValueError, match=r"my.yaml: tasks.nine.max_length: 9 .*8 words"):
        read_group(path)


def test_single_words_are_too_few_to_train_on():
    with pytest.raises(ValueError, match=r"words_to_sentence_easy_n1 .*test"):
        hub_dataset.build_rows("words_to_sentence_easy_n1", "train", 5)


@pytest.mark.skipif(not os.environ.get(URL_VARIABLE), reason=f"{URL_VARIABLE} names no LanguageTool server")
def test_sentences_are_grammatical():
    texts = [entry.sentence for level in LEVELS for entry in lists(level)]
    for config in (f"words_to_sentence_{level}{ending}" for level in LEVELS for ending in ("", "_n3", "_n7")):
        texts += [row["answer"] for row in hub_dataset.build_rows(config, "train", 20)]
    findings = GrammarChecker(os.environ[URL_VARIABLE]).findings(texts)
    assert not [(text, rules) for text, rules in zip(texts, findings, strict=True) if rules]
