"""Averages over the rows that have a score."""

import pytest


@pytest.fixture(scope="module")
def averages(part):
    return part("averages")


def test_a_score_is_averaged_over_the_rows_that_have_it(averages):
    samples = [{"scorer": "a", "score": 1.0}, {"scorer": "b", "score": 0.0, "grammar": 1.0}, {"scorer": "c"}]
    assert averages.average_percentages(samples) == {"score": 50.0, "grammar": 100.0}


def test_tasks_are_grouped_by_name_or_else_by_scorer_in_order(averages):
    samples = [
        {"scorer": "b", "score": 0.0},
        {"scorer": "a", "task": "x", "score": 1.0},
        {"scorer": "b", "task": "x", "score": 0.0},
    ]
    tasks = averages.average_tasks(samples)
    assert tasks == {"b": {"score": 0.0}, "x": {"score": 50.0}}
    assert list(tasks) == ["b", "x"]


def test_averages_of_equal_values_are_exact(averages):
    assert averages.average_percentages([{"score": 0.1}] * 10) == {"score": 10.0}
