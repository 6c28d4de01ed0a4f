"""Checks on the columns that `compute` is given."""

import numpy as np
import pytest
from datasets import Dataset


@pytest.fixture(scope="module")
def arguments(part):
    return part("arguments")


@pytest.mark.parametrize(
    "column",
    [["a", "b"], ("a", "b"), np.array(["a", "b"]), Dataset.from_dict({"x": ["a", "b"]})["x"]],
    ids=["list", "tuple", "array", "dataset column"],
)
def test_columns_of_any_ordered_kind_are_taken(arguments, column):
    assert arguments.check_strings("predictions", column) == ["a", "b"]


@pytest.mark.parametrize("column", [None, "ab", b"ab", 3, {"a": 1}, {"a"}, (text for text in "ab")])
def test_what_is_no_column_is_refused(arguments, column):
    with pytest.raises(ValueError, match=r"^predictions must be a list"):
        arguments.check_strings("predictions", column)


@pytest.mark.parametrize("value", [None, 1, b"a", ["a"], float("nan")])
def test_a_value_that_is_no_string_is_named_by_its_index(arguments, value):
    with pytest.raises(ValueError, match=r"^predictions\[1\] must be a string, got "):
        arguments.check_pairs(["a", value], ["{}", "{}"])
    with pytest.raises(ValueError, match=r"^references\[1\] must be a string, got "):
        arguments.check_pairs(["a", "b"], ["{}", value])


def test_unequal_lengths_name_the_first_index_without_a_partner(arguments):
    with pytest.raises(ValueError, match=r"equally long, got 3 and 2: predictions\[2\] has no partner$"):
        arguments.check_pairs(["a"] * 3, ["{}"] * 2)
    with pytest.raises(ValueError, match=r"equally long, got 0 and 1: references\[0\] has no partner$"):
        arguments.check_pairs([], ["{}"])


def test_nothing_to_score_is_refused(arguments):
    with pytest.raises(ValueError, match="at least one row"):
        arguments.check_pairs([], [])


def test_verdicts_are_true_false_or_none(arguments):
    assert arguments.check_grammar([True, None, np.False_], 3) == [True, None, False]
    assert arguments.check_grammar(None, 2) == [None, None]


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        ([True, "yes"], r"^grammar\[1\] must be True, False or None, got 'yes'$"),
        ([True, 1], r"^grammar\[1\] must be True, False or None, got 1$"),
        ([True], r"^predictions and grammar must be equally long, got 2 and 1: predictions\[1\] has no partner$"),
        ([True] * 3, r"^predictions and grammar must be equally long, got 2 and 3: grammar\[2\] has no partner$"),
        (True, "^grammar must be a list"),
    ],
)
def test_other_verdicts_are_refused(arguments, grammar, message):
    with pytest.raises(ValueError, match=message):
        arguments.check_grammar(grammar, 2)
