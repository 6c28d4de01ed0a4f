"""Tests of repetition: one long list that runs through the given one several times."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_dataset.generators.pools import Letters, UserItems
from hub_dataset.generators.repeat import RepeatGenerator


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(1, 8), times=st.integers(2, 5))
def test_answer_runs_through_the_list_as_often_as_the_prompt_says(seed, length, times):
    question = RepeatGenerator(Letters("test"), times).draw(random.Random(seed).random, length, frozenset())
    items = json.loads(question.fields["context"])
    assert len(set(items)) == length == question.length
    assert int(question.fields["times"]) == times
    assert json.loads(question.answer) == [item for _ in range(times) for item in items]
    assert json.loads(question.output_format) == ["[MASK]"] * (length * times)
    assert question.scoring == {"answer": question.answer}


@pytest.mark.parametrize("seed", range(10))
def test_example_shares_no_item_with_its_question(seed):
    draw = random.Random(seed).random
    generator = RepeatGenerator(UserItems(["fig", "lime", "kiwi", "plum"]), 2)
    question = generator.draw(draw, 2, frozenset())
    example = generator.draw(draw, 2, question.used)
    assert not set(json.loads(question.fields["context"])) & set(json.loads(example.fields["context"]))
