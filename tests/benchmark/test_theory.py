"""Every bound and closed form of `benchmark.theory` against decoding processes enumerated here, token by token."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from itertools import combinations, pairwise, permutations, product
from math import factorial, log2, prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark import theory

Answers = dict[tuple[int, ...], int]  # relative weights
Sets = tuple[tuple[int, ...], ...]


# The tasks' answers, written down anew: item i of the input is i, a new item is 99.
def shuffles(n: int, must_differ: bool = False) -> Answers:
    return uniform([p for p in permutations(range(n)) if not (must_differ and p == tuple(range(n)))])


def replacements(n: int) -> Answers:
    return uniform([tuple(99 if i == j else i for i in range(n)) for j in range(n)])


def insertions(n: int) -> Answers:
    return uniform([(*tuple(range(n))[:j], 99, *tuple(range(n))[j:]) for j in range(n + 1)])


def removals(n: int) -> Answers:
    return uniform([tuple(i for i in range(n) if i != j) for j in range(n)])


def uniform(answers: list[tuple[int, ...]]) -> Answers:
    return dict.fromkeys(answers, 1)


def conditional(answers: Answers, state: tuple[int | None, ...], position: int) -> dict[int, Fraction]:
    """P(token at position | the revealed tokens of state); empty at a dead end."""
    revealed = [(i, token) for i, token in enumerate(state) if token is not None]
    counts: dict[int, int] = {}
    for answer, weight in answers.items():
        for i, token in revealed:
            if answer[i] != token:
                break
        else:
            counts[answer[position]] = counts.get(answer[position], 0) + weight
    total = sum(counts.values())
    return {token: Fraction(count, total) for token, count in counts.items()}


def proposals(marginal: dict[int, Fraction], greedy: bool) -> dict[int, Fraction]:
    if not greedy:
        return marginal
    likeliest = [token for token, probability in marginal.items() if probability == max(marginal.values())]
    return {token: Fraction(1, len(likeliest)) for token in likeliest}


def reveal(
    state: tuple[int | None, ...], positions: tuple[int, ...], tokens: tuple[int, ...]
) -> tuple[int | None, ...]:
    new = list(state)
    for position, token in zip(positions, tokens, strict=True):
        new[position] = token
    return tuple(new)


def decode_sets(answers: Answers, sets: Sets, greedy: bool = False) -> Fraction:
    """P(valid) by recursion over every combination of tokens the steps can commit."""

    @cache
    def recurse(step: int, state: tuple[int | None, ...]) -> Fraction:
        if step == len(sets):
            return Fraction(state in answers)
        drawn = [proposals(conditional(answers, state, position), greedy) for position in sets[step]]
        return sum(
            (
                prod((p for _, p in outcome), start=Fraction(1))
                * recurse(step + 1, reveal(state, sets[step], tuple(token for token, _ in outcome)))
                for outcome in product(*(choice.items() for choice in drawn))
            ),
            Fraction(0),
        )

    return recurse(0, (None,) * len(next(iter(answers))))


def decode_surest(
    answers: Answers,
    count: Callable[[list[Fraction]], int],
    greedy: bool = False,
    score: Callable[[dict[int, Fraction], int], Fraction] = lambda marginal, token: marginal[token],
) -> Fraction:
    """P(valid) when each step draws a token everywhere and commits the `count(scores)` surest, ties at random."""

    @cache
    def recurse(state: tuple[int | None, ...]) -> Fraction:
        masked = [position for position, token in enumerate(state) if token is None]
        if not masked:
            return Fraction(state in answers)
        marginals = [conditional(answers, state, position) for position in masked]
        if not marginals[0]:
            return Fraction(0)
        result = Fraction(0)
        for outcome in product(*(proposals(marginal, greedy).items() for marginal in marginals)):
            tokens = [token for token, _ in outcome]
            scores = [score(marginal, token) for marginal, token in zip(marginals, tokens, strict=True)]
            ranked = sorted(scores, reverse=True)
            size = count(ranked)
            sure = [i for i, value in enumerate(scores) if value > ranked[size - 1]]
            tied = [i for i, value in enumerate(scores) if value == ranked[size - 1]]
            choices = [sure + list(chosen) for chosen in combinations(tied, size - len(sure))]
            for chosen in choices:
                positions = tuple(masked[i] for i in chosen)
                reached = reveal(state, positions, tuple(tokens[i] for i in chosen))
                result += prod((p for _, p in outcome), start=Fraction(1)) * recurse(reached) / len(choices)
        return result

    return recurse((None,) * len(next(iter(answers))))


def ordered_partitions(positions: tuple[int, ...], sizes: tuple[int, ...]) -> Iterator[Sets]:
    if not sizes:
        yield ()
        return
    for chosen in combinations(positions, sizes[0]):
        rest = tuple(position for position in positions if position not in chosen)
        for later in ordered_partitions(rest, sizes[1:]):
            yield (chosen, *later)


def compositions(n: int) -> Iterator[tuple[int, ...]]:
    if n == 0:
        yield ()
    for first in range(1, n + 1):
        for rest in compositions(n - first):
            yield (first, *rest)


def sampler_kl(answers: Answers, sets: Sets) -> float:
    """KL of the data from the ideal sampler, in bits: the sampler's probability of each answer, step by step."""
    bits = 0.0
    for answer, weight in answers.items():
        probability = Fraction(weight, sum(answers.values()))
        state: tuple[int | None, ...] = (None,) * len(answer)
        sampled = Fraction(1)
        for chosen in sets:
            for position in chosen:
                sampled *= conditional(answers, state, position)[answer[position]]
            state = reveal(state, chosen, tuple(answer[position] for position in chosen))
        bits += float(probability) * log2(probability / sampled)
    return bits


def chunks(order: tuple[int, ...], k: int) -> Sets:
    return tuple(order[start : start + k] for start in range(0, len(order), k))


def threshold_count(threshold: str) -> Callable[[list[Fraction]], int]:
    return lambda scores: len([c for c in scores if c >= Fraction(threshold)]) or 1


def factor_count(factor: str, rule: str) -> Callable[[list[Fraction]], int]:
    def count(scores: list[Fraction]) -> int:
        holds = [j for j, c in enumerate(scores, start=1) if (j + 1) * (1 - c) < Fraction(factor)]
        largest = max([1, *holds])
        return len(scores) if rule == "reference_code" and largest == len(scores) - 1 else largest

    return count


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


@st.composite
def weighted_answers(draw: st.DrawFn) -> Answers:
    length = draw(st.integers(1, 4))
    answers = draw(st.sets(st.tuples(*[st.integers(0, 2)] * length), min_size=1, max_size=7))
    weights = [draw(st.integers(1, 4)) for _ in answers]
    return dict(zip(sorted(answers), weights, strict=True))


@st.composite
def answers_and_sets(draw: st.DrawFn) -> tuple[Answers, Sets]:
    answers = draw(weighted_answers())
    n = len(next(iter(answers)))
    sizes = draw(st.sampled_from(list(compositions(n))))
    return answers, draw(st.sampled_from(list(ordered_partitions(tuple(range(n)), sizes))))


# Bounds


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


def all_partitions(n: int, sizes: tuple[int, ...]) -> list[Sets]:
    return list(ordered_partitions(tuple(range(n)), sizes))


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


# Enumeration


@given(case=answers_and_sets(), greedy=st.booleans())
@settings(max_examples=200, deadline=None)
def test_valid_probability_agrees_with_decoding_token_by_token(case: tuple[Answers, Sets], greedy: bool) -> None:
    answers, sets = case
    distribution = theory.AnswerDistribution.weighted(answers)
    assert theory.valid_probability(distribution, sets, greedy=greedy) == decode_sets(answers, sets, greedy)


@given(answers=weighted_answers(), greedy=st.booleans())
@settings(max_examples=40, deadline=None)
def test_random_order_is_the_mean_over_all_orders(answers: Answers, greedy: bool) -> None:
    distribution = theory.AnswerDistribution.weighted(answers)
    n = distribution.length
    for sizes in compositions(n):
        values = [decode_sets(answers, sets, greedy) for sets in all_partitions(n, sizes)]
        mean = sum(values, Fraction(0)) / len(values)
        assert theory.random_order_valid_probability(distribution, sizes, greedy=greedy) == mean


# Closed forms, positions chosen beforehand


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


# Closed forms, the surest proposals first


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
@pytest.mark.parametrize("factor", ["0.7", "1.0", "1.3", "1.5", "1.6", "1.9", "2.5"])
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


@pytest.mark.parametrize("greedy", [False, True])
def test_margin_and_entropy_orders_are_random_orders_for_symmetric_tasks(greedy: bool) -> None:
    def sharpness(marginal: dict[int, Fraction], token: int) -> Fraction:
        return sum((p * p for p in marginal.values()), Fraction(0))

    for k in (1, 2, 3, 4):
        for order in ("margin", "entropy"):
            for task, answers in (("shuffle", shuffles(4, True)), ("replace_random", replacements(4))):
                expected = decode_surest(answers, lambda s, k=k: min(k, len(s)), greedy, sharpness)
                actual = theory.closed_form(task, 4, k, order=order, greedy=greedy)
                assert actual == pytest.approx(float(expected), rel=1e-12)


# Latin square


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


# By the name of a task


@pytest.mark.parametrize("greedy", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 9])
def test_closed_form_of_insert_and_remove_agrees_with_enumeration(k: int, greedy: bool) -> None:
    for task, answers in (("insert_random", insertions(4)), ("remove_random", removals(5))):
        n = len(next(iter(answers)))
        length = 4 if task == "insert_random" else 5
        left_to_right = decode_sets(answers, chunks(tuple(range(n)), k), greedy)
        sizes = tuple(len(chunk) for chunk in chunks(tuple(range(n)), k))
        values = [decode_sets(answers, sets, greedy) for sets in all_partitions(n, sizes)]
        mean = float(sum(values, Fraction(0)) / len(values))
        assert theory.closed_form(task, length, k, order="left_to_right", greedy=greedy) == float(left_to_right)
        assert theory.closed_form(task, length, k, greedy=greedy) == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize(
    ("task", "kind", "length"),
    [
        ("waiting_line_shuffle", "shuffle", 4),
        ("waiting_line/replace-random", "replace_random", 4),
        ("waiting_line_n15_remove_random", "remove_random", 15),
        ("case_study_replace_random_n6", "replace_random", 6),
        ("puzzle_latin_square_n4", "latin_square", 4),
        ("puzzle_sudoku_n4_12", "sudoku", 4),
    ],
)
def test_config_names_and_task_types_mean_the_same(task: str, kind: str, length: int) -> None:
    value = theory.closed_form(task, length, 3, order="left_to_right")
    assert value is not None
    assert value == theory.closed_form(kind, length, 3, order="left_to_right")


@pytest.mark.parametrize("task", sorted(theory.tasks.SINGLE_ANSWER_TASKS))
def test_tasks_with_one_answer_are_right_at_any_speed(task: str) -> None:
    assert theory.closed_form(task, 6, 4, order="confidence", greedy=True) == 1
    assert theory.adaptive_closed_form(task, 6, theory.threshold_rule(0.1)) == 1


@pytest.mark.parametrize("order", theory.tasks.ORDERS)
@pytest.mark.parametrize(
    "task", ["shuffle", "replace_random", "insert_random", "remove_random", "latin_square", "copy"]
)
def test_one_item_at_a_time_loses_nothing(task: str, order: str) -> None:
    assert theory.closed_form(task, 4, 1, order=order) == pytest.approx(1)


@pytest.mark.parametrize("order", theory.tasks.ORDERS)
def test_one_step_is_known_in_every_order_and_at_any_length(order: str) -> None:
    for k in (14, 16, 64):
        expected = theory.remove_random_one_step_accuracy(15)
        assert theory.closed_form("remove_random", 15, k, order=order) == pytest.approx(expected, rel=1e-12)
    expected = theory.insert_random_one_step_accuracy(15)
    assert theory.closed_form("insert_random", 15, 16, order=order) == pytest.approx(expected, rel=1e-12)
    assert theory.closed_form("latin_square", 4, 16, order=order) == theory.latin_square_one_step_accuracy()


@pytest.mark.parametrize(
    ("task", "length", "order"),
    [
        ("words_to_sentence_easy", 4, "random"),
        ("latin_square", 5, "left_to_right"),
        ("latin_square", 4, "random"),
        ("insert_random", 4, "confidence"),
        ("remove_random", 15, "random"),
    ],
)
def test_closed_form_is_none_where_none_is_known(task: str, length: int, order: str) -> None:
    assert theory.closed_form(task, length, 2, order=order) is None
    assert theory.mean_closed_form(task, [length, length], 2, order=order) is None


def test_confidence_order_looks_at_the_proposals() -> None:
    answers = shuffles(3, must_differ=True)
    expected = float(decode_surest(answers, lambda scores: min(2, len(scores))))
    assert theory.closed_form("shuffle", 3, 2, order="confidence") == pytest.approx(expected)
    assert expected != pytest.approx(0.64)
    assert theory.closed_form("shuffle", 3, 2, must_differ=False) == pytest.approx(2 / 3)


def test_adaptive_closed_form_dispatches_on_the_task() -> None:
    rule = theory.factor_rule(1.6)
    expected = float(decode_surest(shuffles(4, True), factor_count("1.6", "theorem")))
    assert theory.adaptive_closed_form("waiting_line_shuffle", 4, rule) == pytest.approx(expected)
    expected = float(decode_surest(replacements(4), factor_count("1.6", "theorem")))
    assert theory.adaptive_closed_form("waiting_line_replace_random", 4, rule) == pytest.approx(expected)
    expected = float(decode_surest(removals(5), factor_count("1.6", "theorem"), True))
    assert theory.adaptive_closed_form("remove_random", 5, rule, greedy=True) == expected
    assert theory.adaptive_closed_form("remove_random", 5, rule) is None


def test_mean_closed_form_counts_every_row() -> None:
    three, four = (theory.closed_form("replace_random", n, 2) for n in (3, 4))
    assert three is not None
    assert four is not None
    assert theory.mean_closed_form("replace_random", [3, 4, 4], 2) == pytest.approx((three + 2 * four) / 3)


# Bad input


@pytest.mark.parametrize(
    "call",
    [
        lambda: theory.shuffle_accuracy(0, 1),
        lambda: theory.shuffle_accuracy(3, 0),
        lambda: theory.shuffle_accuracy(3, (2, 2)),
        lambda: theory.shuffle_accuracy(3, (3, 0)),
        lambda: theory.shuffle_must_differ_accuracy(1, 1),
        lambda: theory.copy_accuracy(0, 1),
        lambda: theory.replace_random_accuracy(-1, 1),
        lambda: theory.insert_random_one_step_accuracy(0),
        lambda: theory.remove_random_one_step_accuracy(0),
        lambda: theory.remove_random_greedy_accuracy(1, 1),
        lambda: theory.latin_square_left_to_right_accuracy(0),
        lambda: theory.latin_square_distribution(5),
        lambda: theory.shuffle_total_correlation(0),
        lambda: theory.remove_random_distribution(1),
        lambda: theory.threshold_rule(float("nan")),
        lambda: theory.factor_rule(float("inf")),
        lambda: theory.factor_rule(1.0, "other"),
        lambda: theory.top_k_rule(0),
        lambda: theory.validity_bound(-1),
        lambda: theory.validity_bound(float("nan")),
        lambda: theory.AnswerDistribution.uniform([]),
        lambda: theory.AnswerDistribution.uniform([()]),
        lambda: theory.AnswerDistribution.uniform([(1,), (1, 2)]),
        lambda: theory.AnswerDistribution.weighted({(1,): 0}),
        lambda: theory.kl_bound(theory.copy_distribution(2), [(0,)]),
        lambda: theory.kl_bound(theory.copy_distribution(2), [(0, 1), ()]),
        lambda: theory.valid_probability(theory.copy_distribution(2), [(0, 0), (1,)]),
        lambda: theory.entropy(theory.copy_distribution(2), [2]),
        lambda: theory.best_kl_bound(theory.copy_distribution(2), 3),
        lambda: theory.best_kl_bound(theory.copy_distribution(11), 3),
        lambda: theory.expected_kl_bound(theory.copy_distribution(17), 3),
        lambda: theory.random_order_valid_probability(theory.copy_distribution(11), 3),
        lambda: theory.closed_form("copy", 0, 1),
        lambda: theory.closed_form("copy", 1, 0),
        lambda: theory.closed_form("copy", 1, 1, order="sideways"),
        lambda: theory.mean_closed_form("copy", [], 1),
    ],
)
def test_impossible_arguments_are_value_errors(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="got"):
        call()


@pytest.mark.parametrize("value", [2.0, "2", True, None])
def test_counts_that_are_no_ints_are_type_errors(value: object) -> None:
    with pytest.raises(TypeError, match="must be an int"):
        theory.shuffle_total_correlation(value)  # type: ignore[arg-type]


def test_duplicate_answers_count_once_in_a_uniform_distribution() -> None:
    assert theory.AnswerDistribution.uniform([(0, 1), (0, 1), (1, 0)]).weights == (1, 1)
