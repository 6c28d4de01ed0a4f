"""Every bound is what the ideal sampler, enumerated token by token, is away from the data."""

from collections.abc import Callable
from itertools import pairwise
from math import log2, prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from token_by_token import (
    Answers,
    Sets,
    all_partitions,
    answers_and_sets,
    compositions,
    insertions,
    ordered_partitions,
    removals,
    replacements,
    sampler_kl,
    shuffles,
    weighted_answers,
)

from benchmark import theory

TASKS = {
    "shuffle": (shuffles, theory.shuffle_distribution, theory.shuffle_total_correlation),
    "replace_random": (
        replacements,
        theory.replace_random_distribution,
        theory.replace_random_total_correlation,
    ),
    "insert_random": (insertions, theory.insert_random_distribution, theory.insert_random_total_correlation),
    "remove_random": (removals, theory.remove_random_distribution, theory.remove_random_total_correlation),
}


@pytest.mark.parametrize(
    ("closed", "expected"),
    [
        (theory.replace_random_total_correlation, [1.17, 1.25, 1.29, 1.32, 1.37, 1.39]),
        (theory.shuffle_total_correlation, [2.17, 3.42, 4.70, 6.02, 11.43, 18.35]),
        (theory.insert_random_total_correlation, [2.62, 3.39, 4.14, 4.88, 7.82, 11.46]),
        (theory.remove_random_total_correlation, [0.25, 0.62, 1.06, 1.55, 3.76, 6.82]),
    ],
)
def test_total_correlation_has_the_known_values(closed: Callable[[int], float], expected: list[float]) -> None:
    assert [round(closed(n), 2) for n in (3, 4, 5, 6, 10, 15)] == expected


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("n", range(2, 6))
def test_total_correlation_is_the_kl_of_the_one_step_sampler(task: str, n: int) -> None:
    listed, distribution, closed = TASKS[task]
    answers = listed(n)
    one_step = (tuple(range(len(next(iter(answers))))),)
    expected = sampler_kl(answers, one_step)
    assert set(distribution(n).answers) == {tuple(n if t == 99 else t for t in answer) for answer in answers}
    assert closed(n) == pytest.approx(expected, abs=1e-12)
    assert theory.conditional_total_correlation(distribution(n)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["copy", "shuffle", "replace_random", "remove_random"])
def test_total_correlation_of_one_item_is_zero(name: str) -> None:
    assert getattr(theory, f"{name}_total_correlation")(1) == 0


def test_a_single_answer_has_no_total_correlation() -> None:
    assert theory.conditional_total_correlation(theory.copy_distribution(5)) == theory.copy_total_correlation(5) == 0


@given(case=answers_and_sets())
@settings(max_examples=150, deadline=None)
def test_kl_bound_is_the_kl_of_the_ideal_sampler(case: tuple[Answers, Sets]) -> None:
    answers, sets = case
    distribution = theory.AnswerDistribution.weighted(answers)
    assert theory.kl_bound(distribution, sets) == pytest.approx(sampler_kl(answers, sets), abs=1e-9)


@given(answers=weighted_answers(), data=st.data())
@settings(max_examples=80, deadline=None)
def test_no_factorised_step_is_closer_to_the_data_than_the_total_correlation(
    answers: Answers, data: st.DataObject
) -> None:
    factors = []
    for position in range(len(next(iter(answers)))):
        tokens = sorted({answer[position] for answer in answers})
        weights = [data.draw(st.integers(1, 9)) for _ in tokens]
        factors.append({token: w / sum(weights) for token, w in zip(tokens, weights, strict=True)})
    total = sum(answers.values())
    kl = sum(
        w / total * log2(w / total / prod(factor[token] for factor, token in zip(factors, answer, strict=True)))
        for answer, w in answers.items()
    )
    assert kl >= theory.conditional_total_correlation(theory.AnswerDistribution.weighted(answers)) - 1e-9


@given(answers=weighted_answers())
@settings(max_examples=40, deadline=None)
def test_expected_kl_bound_is_the_mean_over_all_orders(answers: Answers) -> None:
    distribution = theory.AnswerDistribution.weighted(answers)
    n = distribution.length
    for sizes in compositions(n):
        bounds = [sampler_kl(answers, sets) for sets in ordered_partitions(tuple(range(n)), sizes)]
        assert theory.expected_kl_bound(distribution, sizes) == pytest.approx(sum(bounds) / len(bounds), abs=1e-9)


@given(answers=weighted_answers())
@settings(max_examples=40, deadline=None)
def test_best_kl_bound_is_the_minimum_and_does_not_increase_with_steps(answers: Answers) -> None:
    distribution = theory.AnswerDistribution.weighted(answers)
    n = distribution.length
    best = []
    for steps in range(1, n + 1):
        bits, sets = theory.best_kl_bound(distribution, steps)
        assert len(sets) == steps
        assert sampler_kl(answers, sets) == pytest.approx(bits, abs=1e-9)
        partitions = [s for sizes in compositions(n) if len(sizes) == steps for s in all_partitions(n, sizes)]
        assert bits == pytest.approx(min(sampler_kl(answers, s) for s in partitions), abs=1e-9)
        best.append(bits)
    assert best[0] == pytest.approx(theory.conditional_total_correlation(distribution), abs=1e-9)
    assert best[-1] == pytest.approx(0, abs=1e-9)
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(best))


@given(case=answers_and_sets())
@settings(max_examples=150, deadline=None)
def test_valid_probability_is_at_least_the_validity_bound(case: tuple[Answers, Sets]) -> None:
    answers, sets = case
    valid = theory.valid_probability(theory.AnswerDistribution.weighted(answers), sets)
    assert valid >= theory.validity_bound(sampler_kl(answers, sets)) - 1e-9


@pytest.mark.parametrize("n", range(1, 9))
def test_shuffle_reaches_the_validity_bound(n: int) -> None:
    for k in range(1, n + 1):
        bound = theory.validity_bound(theory.shuffle_kl_bound(n, k))
        assert theory.shuffle_accuracy(n, k) == pytest.approx(bound, rel=1e-9)


@pytest.mark.parametrize("n", range(1, 5))
def test_shuffle_kl_bound_is_the_kl_of_the_sampler(n: int) -> None:
    for sizes in compositions(n):
        sets = next(ordered_partitions(tuple(reversed(range(n))), sizes))
        assert theory.shuffle_kl_bound(n, sizes) == pytest.approx(sampler_kl(shuffles(n), sets), abs=1e-9)
