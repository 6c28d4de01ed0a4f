"""People: distinct, without the names to avoid, and drawn from what a subclass says."""

import random

import pytest

from hub_dataset.generators.people import PeoplePool


class Few(PeoplePool):
    def draw_names(self, draw):
        return "AB"[int(draw() * 2)], "XYZ"[int(draw() * 3)]


def test_people_are_distinct_and_avoid_names():
    people = Few().draw(random.Random(1).random, 4, frozenset({"Z"}))
    assert sorted(people) == ["A X", "A Y", "B X", "B Y"]
    assert Few().words(people) == {"A", "B", "X", "Y"}


def test_pool_without_names_says_what_to_define():
    with pytest.raises(TypeError, match="define draw_names"):
        PeoplePool().draw(random.random, 1, frozenset())
