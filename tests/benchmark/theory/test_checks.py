"""Arguments that make no sense are refused, and the message says what was given."""

from collections.abc import Callable

import pytest

from benchmark import theory


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
