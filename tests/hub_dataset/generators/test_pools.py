"""Tests of the supplies of people and letters."""

import random
import re

import pytest
from vocabularies import cl100k, qwen

from hub_dataset.generators.pools import SOURCES, Letters, People, capitalised_in_texts_of_test, names_of_test
from hub_dataset.sentences import VOCABULARIES
from hub_dataset.sentences.lexicon import read_lexicon

FILES = ["first_names_test", "last_names_test", "first_names_train", "last_names_train"]


def names(file: str) -> list[str]:
    return (SOURCES / f"{file}.txt").read_text(encoding="utf-8").split()


@pytest.mark.parametrize("file", FILES)
def test_names_are_distinct_capitalised_ascii_words(file):
    words = names(file)
    assert len(words) == len(set(words))
    assert all(re.fullmatch("[A-Z][a-z]+", word) for word in words)


def test_name_lists_are_long_enough():
    assert min(len(names("first_names_test")), len(names("first_names_train"))) >= 90
    assert min(len(names("last_names_test")), len(names("last_names_train"))) >= 190


@pytest.mark.parametrize("vocabulary", [qwen, cl100k])
def test_names_of_test_are_one_token_each_where_they_stand_in_a_list(vocabulary):
    try:
        count = vocabulary()
    except ImportError as error:
        pytest.skip(f"{error}: the package that brings this vocabulary is not installed")
    people = People("test")
    # In a list a first name stands after a quote, which is a token of its own, and a last name after a space.
    assert [name for name in people.first_names if count(name) != 1] == []
    assert [name for name in people.last_names if count(f" {name}") != 1] == []
    assert count('["Ada Stone", "Grace Gray"]') == 8


def test_no_word_is_in_two_name_lists():
    words = [word for file in FILES for word in names(file)]
    assert len(words) == len(set(words))


@pytest.mark.parametrize("pool", [People("test"), People("train"), Letters("test")])
def test_drawn_items_are_distinct_and_avoid_what_is_used(pool):
    draw = random.Random(3).random
    for _ in range(100):
        first = pool.draw(draw, 10, frozenset())
        second = pool.draw(draw, 10, pool.words(first))
        assert len(set(first)) == len(set(second)) == 10
        assert not pool.words(first) & pool.words(second)


def test_validation_draws_from_the_names_of_train():
    assert People("validation").last_names == People("train").last_names != People("test").last_names


def test_names_of_test_are_those_of_all_versions():
    assert names_of_test() == {*names("first_names_test"), *names("last_names_test"), *names("names_test_1")}
    assert not names_of_test() & {*names("first_names_train"), *names("last_names_train")}


def test_nobody_in_the_texts_of_test_has_a_name_of_train():
    of_test = capitalised_in_texts_of_test()
    assert {"Maya", "Leo", "Novak", "Daniel", "Lisbon"} <= of_test
    speakers = {name for name in of_test if re.search(rf"\b{name}:", (SOURCES / "dialogues.yaml").read_text())}
    assert len(speakers) > 150
    of_train = {name for vocabulary in VOCABULARIES for name in read_lexicon(vocabulary).names}
    assert len(of_train) > 50
    assert of_test & (of_train | {*names("first_names_train"), *names("last_names_train")}) == set()
