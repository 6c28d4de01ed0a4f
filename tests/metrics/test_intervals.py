"""Bootstrap intervals of averages."""

import numpy as np
import pytest

from benchmark.analysis.statistics import bootstrap_means, percentile_interval


@pytest.fixture(scope="module")
def intervals(part):
    return part("intervals")


def test_interval_is_that_of_the_benchmark(intervals):
    values = np.random.default_rng(1).random(100)
    low, high = percentile_interval(bootstrap_means(values[:, None]))
    assert intervals.bootstrap_interval(list(values)) == pytest.approx([100 * low[0], 100 * high[0]])


def test_interval_is_near_the_normal_one_for_many_rows(intervals):
    values = [1.0] * 1200 + [0.0] * 800
    low, high = intervals.bootstrap_interval(values)
    half = 196 * (0.6 * 0.4 / 2000) ** 0.5
    assert low == pytest.approx(60 - half, abs=0.4)
    assert high == pytest.approx(60 + half, abs=0.4)


def test_interval_takes_little_memory_for_many_rows(intervals, monkeypatch):
    whole = intervals.bootstrap_interval([0.0, 1.0, 1.0] * 50)
    monkeypatch.setattr(intervals, "CHUNK", 1)
    assert intervals.bootstrap_interval([0.0, 1.0, 1.0] * 50) == pytest.approx(whole)


def test_intervals_hold_every_score_and_those_of_tasks(intervals):
    samples = [
        {"scorer": "a", "score": 1.0},
        {"scorer": "a", "score": 1.0},
        {"scorer": "b", "task": "x", "score": 0.0, "grammar": 1.0},
    ]
    found = intervals.bootstrap_intervals(samples)
    assert found["grammar"] == [100.0, 100.0]
    assert found["score"][0] < 66.7 < found["score"][1]
    assert found["tasks"] == {"a": {"score": [100.0, 100.0]}, "x": {"score": [0.0, 0.0], "grammar": [100.0, 100.0]}}
