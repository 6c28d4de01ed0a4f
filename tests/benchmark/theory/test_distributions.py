"""A distribution over answers is what its answers and weights say."""

from benchmark import theory


def test_duplicate_answers_count_once_in_a_uniform_distribution() -> None:
    assert theory.AnswerDistribution.uniform([(0, 1), (0, 1), (1, 0)]).weights == (1, 1)
