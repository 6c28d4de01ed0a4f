"""Tests of the arithmetic tasks: operands of the asked size, right results, one question for both orders of a sum."""

import json
import operator
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_dataset.generators.arithmetic import OPERATIONS, CumulativeSumGenerator, MathOpGenerator

EVALUATED = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.floordiv}


def math_op(name, seed, length, avoid=frozenset()):
    return MathOpGenerator(OPERATIONS[name]).draw(random.Random(seed).random, length, avoid)


@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(1, 9))
def test_answer_is_the_result_of_the_expression(name, seed, length):
    drawn = math_op(name, seed, length)
    left, sign, right = drawn.fields["expression"].split(" ")
    assert EVALUATED[sign](int(left), int(right)) == int(drawn.answer) >= 0
    assert len(right) == length == drawn.length
    if name == "divide":
        assert int(left) % int(right) == 0
        assert len(drawn.answer) == length
    else:
        assert len(left) == length
    assert drawn.scoring == {"answer": drawn.answer}


@pytest.mark.parametrize("name", ["add", "multiply"])
def test_both_orders_of_operands_are_one_question(name):
    drawn = [math_op(name, seed, 1) for seed in range(2000)]
    identities = {frozenset(map(int, question.fields["expression"].split(" ")[::2])) for question in drawn}
    assert len({question.identity for question in drawn}) == len(identities) == 45


def test_example_is_another_question():
    for seed in range(200):
        drawn = math_op("add", seed, 1)
        assert math_op("add", seed, 1, drawn.used).identity != drawn.identity


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(2, 10), highest=st.integers(2, 10**6))
def test_running_sums_grow_by_the_given_numbers(seed, length, highest):
    drawn = CumulativeSumGenerator(highest).draw(random.Random(seed).random, length, frozenset())
    numbers, sums = json.loads(drawn.fields["numbers"]), json.loads(drawn.answer)
    assert len(numbers) == length == drawn.length
    assert all(1 <= number <= highest for number in numbers)
    assert [right - left for left, right in zip([0, *sums], sums, strict=False)] == numbers
    assert drawn.output_format == "[" + ", ".join(["[MASK]"] * length) + "]"


def test_running_sums_reach_both_ends_of_the_numbers():
    generator = CumulativeSumGenerator(3)
    drawn = [generator.draw(random.Random(seed).random, 2, frozenset()).fields["numbers"] for seed in range(200)]
    assert {number for text in drawn for number in json.loads(text)} == {1, 2, 3}
