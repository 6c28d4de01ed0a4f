"""Closed forms for positions chosen beforehand, against decoding enumerated token by token."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise, permutations, product
from math import factorial, prod

import pytest
from token_by_token import (
    Answers,
    all_partitions,
    chunks,
    compositions,
    decode_sets,
    insertions,
    removals,
    replacements,
    shuffles,
    uniform,
)

from benchmark import theory


@pytest.mark.parametrize(
    ("closed", "digits", "expected"),
    [
        (lambda n: theory.replace_random_accuracy(n, n), 3, [0.444, 0.422, 0.410, 0.402]),
        (lambda n: theory.shuffle_accuracy(n, n), 4, [0.2222, 0.0938, 0.0384, 0.0154]),
        (theory.insert_random_one_step_accuracy, 4, [0.1875, 0.1229, 0.0823, 0.0560]),
        (theory.remove_random_one_step_accuracy, 3, [0.889, 0.75, 0.614, 0.494]),
    ],
)
def test_one_step_accuracy_has_the_known_values(
    closed: Callable[[int], float], digits: int, expected: list[float]
) -> None:
    assert [round(closed(n), digits) for n in (3, 4, 5, 6)] == expected


ORDERS = {4: [(0, 1, 2, 3), (2, 0, 3, 1)], 5: [(0, 1, 2, 3, 4), (3, 1, 4, 0, 2)]}


def orders(n: int) -> list[tuple[int, ...]]:
    return ORDERS.get(n, [tuple(range(n)), tuple(reversed(range(n)))])


@pytest.mark.parametrize("greedy", [False, True])
@pytest.mark.parametrize("n", range(1, 6))
def test_shuffle_is_the_same_in_every_order_sampled_or_greedy(n: int, greedy: bool) -> None:
    for k in range(1, n + 2):
        for order in orders(n):
            expected = decode_sets(shuffles(n), chunks(order, k), greedy)
            assert theory.shuffle_accuracy(n, k) == pytest.approx(float(expected), rel=1e-12)


def test_shuffle_two_at_a_time_is_a_ratio_of_double_factorials() -> None:
    for n in range(2, 16, 2):
        ratio = Fraction(prod(range(1, n, 2)), prod(range(2, n + 1, 2)))
        assert theory.shuffle_accuracy(n, 2) == pytest.approx(float(ratio), rel=1e-12)


@pytest.mark.parametrize("greedy", [False, True])
@pytest.mark.parametrize("n", range(2, 6))
def test_shuffle_must_differ_agrees_with_enumeration(n: int, greedy: bool) -> None:
    answers = shuffles(n, must_differ=True)
    for sizes in compositions(n):
        starts = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
        for order in orders(n)[: 1 if n == 5 else 2]:
            sets = tuple(order[a:b] for a, b in pairwise(starts))
            expected = decode_sets(answers, sets, greedy)
            actual = theory.shuffle_must_differ_accuracy(n, sizes, greedy=greedy)
            assert actual == pytest.approx(float(expected), rel=1e-12)


def test_excluding_the_input_changes_the_ideal_accuracy() -> None:
    assert theory.shuffle_must_differ_accuracy(3, 2) == 0.64
    assert theory.shuffle_accuracy(3, 2) == pytest.approx(2 / 3)


@pytest.mark.parametrize("n", range(2, 9))
def test_shuffle_must_differ_in_one_step_is_the_derangement_sum(n: int) -> None:
    fixed_points = [sum(i == t for i, t in enumerate(p)) for p in permutations(range(n))]
    a = Fraction(factorial(n - 1) - 1, factorial(n) - 1)
    b = Fraction(factorial(n - 1), factorial(n) - 1)
    expected = sum(fixed_points.count(f) * a**f * b ** (n - f) for f in range(n))
    assert theory.shuffle_must_differ_accuracy(n, n) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("greedy", [False, True])
@pytest.mark.parametrize("n", range(1, 7))
def test_replace_random_agrees_with_enumeration(n: int, greedy: bool) -> None:
    for k in range(1, n + 2):
        for order in orders(n):
            expected = decode_sets(replacements(n), chunks(order, k), greedy)
            actual = theory.replace_random_accuracy(n, k, greedy=greedy)
            assert actual == pytest.approx(float(expected), rel=1e-12)


def test_replace_random_in_one_step_tends_to_one_over_e() -> None:
    assert theory.replace_random_accuracy(2000, 2000) == pytest.approx(2.718281828**-1, rel=1e-3)


@pytest.mark.parametrize("n", range(1, 8))
def test_insert_random_in_one_step_agrees_with_enumeration(n: int) -> None:
    expected = decode_sets(insertions(n), (tuple(range(n + 1)),))
    assert theory.insert_random_one_step_accuracy(n) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("n", range(2, 9))
def test_remove_random_in_one_step_agrees_with_enumeration(n: int) -> None:
    expected = decode_sets(removals(n), (tuple(range(n - 1)),))
    assert theory.remove_random_one_step_accuracy(n) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("n", range(2, 7))
def test_greedy_remove_random_is_right_for_every_partition(n: int) -> None:
    answers = removals(n)
    for sizes in compositions(n - 1):
        assert all(decode_sets(answers, sets, greedy=True) == 1 for sets in all_partitions(n - 1, sizes))
        assert theory.remove_random_greedy_accuracy(n, sizes) == 1


def latin_squares() -> Answers:
    """Square by square from its first row and first column, trying the rows that fit them."""
    squares = []
    for first in permutations(range(4)):
        for column in permutations([symbol for symbol in range(4) if symbol != first[0]]):
            inner = [
                [p for p in permutations(range(4)) if p[0] == start and all(map(int.__ne__, p, first))]
                for start in column
            ]
            for rows in product(*inner):
                if all(len({row[i] for row in rows}) == 3 for i in range(4)):
                    squares.append(sum(rows, first))
    return uniform(squares)


def test_latin_square_agrees_with_enumeration() -> None:
    answers = latin_squares()
    assert set(answers) == set(theory.latin_square_distribution(4).answers)
    assert len(answers) == 576
    assert [len(theory.latin_square_distribution(n).answers) for n in (1, 2, 3)] == [1, 2, 12]
    bits = theory.conditional_total_correlation(theory.latin_square_distribution(4))
    assert bits == pytest.approx(theory.latin_square_total_correlation(), abs=1e-9)
    assert round(bits, 2) == 22.83
    for greedy in (False, True):
        expected = decode_sets(answers, chunks(tuple(range(16)), 2), greedy)
        actual = theory.latin_square_left_to_right_accuracy(2, greedy=greedy)
        assert actual == pytest.approx(float(expected), rel=1e-12)


def test_latin_square_has_the_known_values() -> None:
    assert theory.latin_square_one_step_accuracy() == theory.latin_square_left_to_right_accuracy(16)
    assert theory.latin_square_one_step_accuracy() == pytest.approx(1.34e-7, rel=1e-3)
    assert theory.latin_square_left_to_right_accuracy(4) == pytest.approx(0.001736, rel=1e-3)
    assert theory.latin_square_left_to_right_accuracy(2) == pytest.approx(0.135, abs=5e-4)
    assert theory.latin_square_left_to_right_accuracy(1) == 1
