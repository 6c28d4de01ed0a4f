"""The probability of a valid answer is that of decoding token by token."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from token_by_token import Answers, Sets, all_partitions, answers_and_sets, compositions, decode_sets, weighted_answers

from benchmark import theory


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
