"""Tests of the domino task: the answer is a row of the given tiles, and the given order is none."""

import json
import random
from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from hub_dataset.generators.domino import LONGEST, DominoGenerator, fits


def tiles(text):
    return [tuple(map(int, tile.split("-"))) for tile in json.loads(text)]


def question(seed, length, avoid=frozenset()):
    return DominoGenerator().draw(random.Random(seed).random, length, avoid)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(2, LONGEST))
def test_answer_lays_the_given_tiles_so_that_halves_match(seed, length):
    drawn = question(seed, length)
    given_tiles, row = tiles(drawn.fields["tiles"]), tiles(drawn.answer)
    assert len(row) == length == drawn.length
    assert sorted(map(sorted, row)) == sorted(map(sorted, given_tiles))
    assert len({tuple(sorted(tile)) for tile in row}) == length
    assert all(left[1] == right[0] for left, right in pairwise(row))
    assert {half for tile in row for half in tile} <= set(range(7))
    assert drawn.scoring == {"input": json.loads(drawn.fields["tiles"])}
    assert json.loads(drawn.output_format) == ["[MASK]"] * length


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(2, 4))
def test_given_order_is_no_right_row(seed, length):
    assert not fits(tiles(question(seed, length).fields["tiles"]))


def test_order_and_direction_do_not_make_another_question():
    by_tiles = {}
    for seed in range(3000):
        drawn = question(seed, 2)
        by_tiles.setdefault(frozenset(tuple(sorted(tile)) for tile in tiles(drawn.answer)), set()).add(drawn.identity)
    assert all(len(identities) == 1 for identities in by_tiles.values())
    assert len(by_tiles) == len({identity for identities in by_tiles.values() for identity in identities}) > 100


def test_example_is_another_question():
    for seed in range(300):
        drawn = question(seed, 2)
        assert question(seed, 2, drawn.used).identity != drawn.identity


def test_tiles_are_turned_and_doubles_occur():
    laid = Counter()
    for seed in range(200):
        drawn = question(seed, 5)
        given_tiles = set(tiles(drawn.fields["tiles"]))
        laid["turned"] += sum(tile not in given_tiles for tile in tiles(drawn.answer))
        laid["double"] += sum(left == right for left, right in given_tiles)
    assert 300 < laid["turned"] < 600
    assert laid["double"] > 50
