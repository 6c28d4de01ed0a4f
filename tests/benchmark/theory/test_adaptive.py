"""Closed forms for the surest proposals first, against decoding enumerated token by token."""

from fractions import Fraction
from math import factorial

import pytest
from support import slow_except
from token_by_token import decode_surest, factor_count, replacements, shuffles, threshold_count

from benchmark import theory


@pytest.mark.parametrize("greedy", [False, True])
@pytest.mark.parametrize("n", range(1, 5))
def test_top_k_by_confidence_agrees_with_enumeration(n: int, greedy: bool) -> None:
    for k in range(1, n + 2):

        def count(scores: list[Fraction], k: int = k) -> int:
            return min(k, len(scores))

        rule = theory.top_k_rule(k)
        assert theory.shuffle_adaptive_accuracy(n, rule, greedy=greedy) == pytest.approx(
            float(decode_surest(shuffles(n), count, greedy)), rel=1e-12
        )
        assert theory.replace_random_adaptive_accuracy(n, rule, greedy=greedy) == pytest.approx(
            float(decode_surest(replacements(n), count, greedy)), rel=1e-12
        )
        if n > 1:
            answers = shuffles(n, must_differ=True)
            assert theory.shuffle_adaptive_accuracy(n, rule, must_differ=True, greedy=greedy) == pytest.approx(
                float(decode_surest(answers, count, greedy)), rel=1e-12
            )


@pytest.mark.parametrize("greedy", [False, True])
@pytest.mark.parametrize("threshold", ["0.1", "0.25", "0.3", "0.5", "0.7", "0.8", "0.9", "1.0"])
def test_threshold_agrees_with_enumeration(threshold: str, greedy: bool) -> None:
    count, gamma = threshold_count(threshold), float(threshold)
    for n in range(1, 5):
        expected = float(decode_surest(shuffles(n), count, greedy))
        assert theory.shuffle_threshold_accuracy(n, gamma) == pytest.approx(expected, rel=1e-12)
    for n in range(2, 5):
        expected = float(decode_surest(shuffles(n, must_differ=True), count, greedy))
        rule = theory.threshold_rule(gamma)
        actual = theory.shuffle_adaptive_accuracy(n, rule, must_differ=True, greedy=greedy)
        assert actual == pytest.approx(expected, rel=1e-12)
    for n in range(1, 7):
        expected = float(decode_surest(replacements(n), count, greedy))
        actual = theory.replace_random_threshold_accuracy(n, gamma, greedy=greedy)
        assert actual == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("threshold", [0.01, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_threshold_has_the_short_forms(threshold: float) -> None:
    for n in range(1, 12):
        together = max([m for m in range(1, n + 1) if 1 / m >= threshold], default=1)
        expected = factorial(together) / together**together
        assert theory.shuffle_threshold_accuracy(n, threshold) == pytest.approx(expected, rel=1e-12)
        if n >= 3:
            assert theory.replace_random_threshold_accuracy(n, threshold) == (0 if (n - 1) / n >= threshold else 1)


def test_threshold_includes_equality() -> None:
    assert theory.replace_random_threshold_accuracy(5, 0.8) == 0
    assert theory.replace_random_threshold_accuracy(5, 0.8001) == 1


@pytest.mark.parametrize("greedy", [False, True])
@pytest.mark.parametrize("rule", ["theorem", "reference_code"])
@pytest.mark.parametrize(
    "factor", slow_except(["0.7", "1.0", "1.6"], ["0.7", "1.0", "1.3", "1.5", "1.6", "1.9", "2.5"])
)
def test_factor_agrees_with_enumeration(factor: str, rule: str, greedy: bool) -> None:
    count, f = factor_count(factor, rule), float(factor)
    for n in range(1, 5):
        expected = float(decode_surest(shuffles(n), count, greedy))
        assert theory.shuffle_factor_accuracy(n, f, rule) == pytest.approx(expected, rel=1e-12)
    for n in range(2, 5):
        expected = float(decode_surest(shuffles(n, must_differ=True), count, greedy))
        commit = theory.factor_rule(f, rule)
        actual = theory.shuffle_adaptive_accuracy(n, commit, must_differ=True, greedy=greedy)
        assert actual == pytest.approx(expected, rel=1e-12)
    for n in range(1, 7):
        expected = float(decode_surest(replacements(n), count, greedy))
        actual = theory.replace_random_factor_accuracy(n, f, rule, greedy=greedy)
        assert actual == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n", range(2, 12))
def test_small_factors_lose_nothing_unless_the_last_two_go_together(n: int) -> None:
    assert theory.shuffle_factor_accuracy(n, 1.5) == 1
    assert theory.shuffle_factor_accuracy(n, 1.51) < 1
    assert theory.replace_random_factor_accuracy(n, 1.0) == 1
    for factor in (0.7, 1.0, 1.3, 1.6, 1.9):
        assert theory.shuffle_factor_accuracy(n, factor, "reference_code") <= 0.5
        assert theory.replace_random_factor_accuracy(n, factor, "reference_code") in (0, 0.5)
