"""The numbers of a report against enumeration, closed forms and hand-made curves."""

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.analysis.statistics import (
    bootstrap_means,
    largest_tokens_per_step,
    oracle,
    order_preference,
    parallelizability,
    percentile_interval,
)


def test_bootstrap_has_the_distribution_of_all_resamples() -> None:
    values = np.array([0.0, 10.0, 40.0, 50.0])
    exact = [np.mean(resample) for resample in itertools.product(values, repeat=4)]
    means = bootstrap_means(values[:, None], resamples=40_000)[:, 0]
    for score in sorted(set(exact)):
        assert np.mean(means <= score + 1e-9) == pytest.approx(np.mean(np.array(exact) <= score + 1e-9), abs=0.012)


def test_interval_of_a_proportion_is_the_binomial_one() -> None:
    right = np.r_[np.full(70, 100.0), np.zeros(30)][:, None]
    low, high = percentile_interval(bootstrap_means(right, resamples=20_000))
    cumulative = np.cumsum([math.comb(100, hits) * 0.7**hits * 0.3 ** (100 - hits) for hits in range(101)])
    assert low[0] == pytest.approx(np.searchsorted(cumulative, 0.025), abs=1)
    assert high[0] == pytest.approx(np.searchsorted(cumulative, 0.975), abs=1)


def test_interval_of_one_value_is_that_value() -> None:
    low, high = percentile_interval(bootstrap_means(np.full((7, 2), 100.0)))
    assert low.tolist() == high.tolist() == [100.0, 100.0]


def test_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    generator = np.random.default_rng(3)
    right = (generator.random((100, 600)) < 0.6) * 100.0
    low, high = percentile_interval(bootstrap_means(right, seed=(1,)))
    assert 0.92 < np.mean((low <= 60) & (high >= 60)) < 0.98


def test_chunks_do_not_change_the_resamples(monkeypatch) -> None:
    values = np.random.default_rng(0).random((50, 3))
    whole = bootstrap_means(values, seed=(5,))
    monkeypatch.setattr("benchmark.analysis.statistics._CHUNK", 170)
    np.testing.assert_allclose(bootstrap_means(values, seed=(5,)), whole, rtol=1e-12)


def test_equal_seeds_give_equal_resamples_and_others_do_not() -> None:
    values = np.random.default_rng(0).random((50, 1))
    assert np.array_equal(bootstrap_means(values, seed=(1, 2)), bootstrap_means(values, seed=(1, 2)))
    assert not np.array_equal(bootstrap_means(values, seed=(1, 2)), bootstrap_means(values, seed=(1, 3)))


@pytest.mark.parametrize("shape", [(0, 3), (5,)])
def test_bootstrap_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="seeds, settings"):
        bootstrap_means(np.zeros(shape))


def test_the_bootstrap_over_seeds_varies_as_questions_and_seeds_do() -> None:
    generator = np.random.default_rng(0)
    of_questions, of_seeds = generator.normal(size=(60, 1, 1)), 0.5 * generator.normal(size=(1, 8, 1))
    values = of_questions + of_seeds + generator.normal(size=(60, 8, 1))
    found = bootstrap_means(values, resamples=20_000)[:, 0].std()
    expected = np.sqrt(of_questions.var() / 60 + of_seeds.var() / 8 + 1 / 480)
    # The pigeonhole bootstrap counts the noise of single samples up to three times.
    assert 0.9 * expected < found < 1.1 * np.sqrt(expected**2 + 2 / 480)


def test_one_seed_is_the_bootstrap_over_questions() -> None:
    values = np.random.default_rng(1).random((20, 3))
    assert np.array_equal(bootstrap_means(values), bootstrap_means(values[:, None]))


def test_bootstrap_of_a_default_run_takes_less_than_three_seconds() -> None:
    tasks = [np.random.default_rng(task).random((100, 53)) for task in range(12)]
    start = time.process_time()
    for number, scores in enumerate(tasks):
        percentile_interval(bootstrap_means(scores, seed=(0, number)))
    assert time.process_time() - start < 3


CURVE = [(1.0, 100.0), (2.0, 90.0), (4.0, 70.0), (8.0, 30.0)]


def test_pb_interpolates_between_points_of_adaptive_methods() -> None:
    assert largest_tokens_per_step(CURVE, 80, interpolate=True) == pytest.approx(3.0)
    assert largest_tokens_per_step(CURVE, 75, interpolate=True) == pytest.approx(3.5)
    assert largest_tokens_per_step(CURVE, 70, interpolate=True) == 4.0


def test_pb_of_top_k_is_a_measured_point() -> None:
    assert largest_tokens_per_step(CURVE, 80, interpolate=False) == 2.0
    assert largest_tokens_per_step(CURVE, 70, interpolate=False) == 4.0


@pytest.mark.parametrize("interpolate", [True, False])
def test_pb_where_the_score_is_always_or_never_reached(interpolate: bool) -> None:
    assert largest_tokens_per_step(CURVE, 30, interpolate=interpolate) == 8.0
    assert largest_tokens_per_step(CURVE, 100.5, interpolate=interpolate) is None
    assert largest_tokens_per_step([], 80, interpolate=interpolate) is None


@pytest.mark.parametrize("interpolate", [True, False])
def test_pb_of_one_point(interpolate: bool) -> None:
    assert largest_tokens_per_step([(3.0, 80.0)], 80, interpolate=interpolate) == 3.0
    assert largest_tokens_per_step([(3.0, 79.9)], 80, interpolate=interpolate) is None


def test_pb_of_a_curve_that_rises_again_takes_the_last_crossing() -> None:
    points = [(1.0, 60.0), (2.0, 90.0), (3.0, 70.0), (4.0, 90.0), (5.0, 50.0)]
    assert largest_tokens_per_step(points, 80, interpolate=True) == pytest.approx(4.25)
    assert largest_tokens_per_step(points, 80, interpolate=False) == 4.0


def test_pb_takes_the_best_of_points_at_the_same_speed() -> None:
    assert largest_tokens_per_step([(2.0, 50.0), (2.0, 90.0)], 80, interpolate=True) == 2.0
    assert largest_tokens_per_step([(2.0, 90.0), (2.0, 50.0), (3.0, 70.0)], 80, interpolate=True) == pytest.approx(2.5)


points_strategy = st.lists(
    st.tuples(st.integers(1, 64).map(float), st.integers(0, 100).map(float)), min_size=1, max_size=8
)


@given(points=points_strategy, score=st.sampled_from([80, 75, 70]))
@settings(deadline=None)
def test_pb_is_the_last_place_where_the_drawn_curve_is_high_enough(points, score) -> None:
    best: dict[float, float] = {}
    for speed, value in points:
        best[speed] = max(value, best.get(speed, 0))
    speeds = sorted(best)
    # A peak may touch the score at its own speed alone.
    grid = np.union1d(np.linspace(speeds[0], speeds[-1], 6401), speeds)
    above = grid[np.interp(grid, speeds, [best[speed] for speed in speeds]) >= score - 1e-9]
    found = largest_tokens_per_step(points, score, interpolate=True)
    if found is None:
        assert len(above) == 0
    else:
        assert found == pytest.approx(above[-1] if len(above) else found, abs=0.011)
        measured = largest_tokens_per_step(points, score, interpolate=False)
        assert measured is not None
        assert measured <= found


def test_oracle_is_the_fewest_steps_at_the_best_score_of_each_sample() -> None:
    generator = np.random.default_rng(0)
    scores = generator.integers(0, 3, (5, 40)) / 2
    passes = generator.integers(1, 33, (5, 40)).astype(float)
    expected = []
    for column in range(40):
        best = max(scores[:, column])
        expected.append((best, min(passes[row, column] for row in range(5) if scores[row, column] == best)))
    score, steps, speed = oracle(scores, passes, np.full((5, 40), 32.0))
    assert score == pytest.approx(np.mean([best for best, _ in expected]))
    assert steps == pytest.approx(np.mean([fewest for _, fewest in expected]))
    assert speed == pytest.approx(np.mean([32 / fewest for _, fewest in expected]))


def test_oracle_refuses_shapes_that_differ() -> None:
    with pytest.raises(ValueError, match="same"):
        oracle(np.zeros((2, 3)), np.ones((2, 4)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="same"):
        oracle(np.zeros((0, 3)), np.ones((0, 3)), np.ones((0, 3)))


def test_parallelizability_weighs_tokens_per_step_by_score() -> None:
    assert parallelizability([1, 2, 4], [100, 50, 0]) == pytest.approx((100 + 100) / 150)
    assert parallelizability([1, 2, 4, 8, 16, 32], [100] * 6) == pytest.approx(63 / 6)
    assert parallelizability([1, 2], [0.0, 0.0]) is None


def test_order_preference_is_the_slope_of_the_least_squares_line() -> None:
    lengths, scores = [2, 4, 8, 32], [50.0, 58.0, 61.0, 90.0]
    assert order_preference(lengths, scores) == pytest.approx(np.polyfit(lengths, scores, 1)[0])
    assert order_preference([2, 32], [80, 20]) == pytest.approx(-2.0)
    assert order_preference([8, 8], [80, 20]) is None
    assert order_preference([], []) is None
    with pytest.raises(ValueError, match="2 block lengths came with 1"):
        order_preference([1, 2], [3.0])
