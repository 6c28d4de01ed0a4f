"""Tests of the supplies of people and letters."""

import random
import re

import pytest

from hub_dataset.generators.pools import SOURCES, Letters, People

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
