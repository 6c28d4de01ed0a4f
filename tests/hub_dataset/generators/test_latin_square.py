"""Tests of the Latin square task."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_dataset.generators.latin_square import SYMBOLS, LatinSquareGenerator, latin_squares


@pytest.mark.parametrize(("size", "count"), [(1, 1), (2, 2), (3, 12), (4, 576)])
def test_number_of_latin_squares_is_the_known_one(size, count):
    assert len(set(latin_squares(size))) == count


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 4))
def test_answer_is_a_latin_square_over_the_given_symbols(seed, size):
    question = LatinSquareGenerator().draw(random.Random(seed).random, size, frozenset())
    symbols = question.fields["symbols"].split(", ")
    rows = [line.split(",") for line in question.answer.split("\n")]
    assert len(set(symbols)) == size == question.length
    assert set(symbols) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    assert [sorted(row) for row in rows] == [sorted(symbols)] * size
    assert [sorted(column) for column in zip(*rows, strict=True)] == [sorted(symbols)] * size
    assert question.scoring == {"symbols": symbols}
    assert question.output_format == "\n".join(",".join("[MASK]" for _ in row) for row in rows)


def test_answers_are_spread_over_all_squares():
    draw = random.Random(0).random
    generator = LatinSquareGenerator()
    shapes = Counter()
    for _ in range(5760):
        question = generator.draw(draw, 4, frozenset())
        order = {symbol: str(place) for place, symbol in enumerate(question.fields["symbols"].split(", "))}
        shapes["".join(order.get(sign, "") for sign in question.answer)] += 1
    assert len(shapes) == 576
    assert max(shapes.values()) < 30


def test_symbols_to_avoid_do_not_occur():
    avoid = frozenset(SYMBOLS[:30])
    question = LatinSquareGenerator().draw(random.Random(0).random, 4, avoid)
    assert not avoid & set(question.scoring["symbols"])
