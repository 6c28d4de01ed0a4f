"""Closed forms by the name of a task: the right one, for any spelling, and None where none is known."""

from fractions import Fraction

import pytest
from token_by_token import (
    all_partitions,
    chunks,
    decode_sets,
    decode_surest,
    factor_count,
    insertions,
    removals,
    replacements,
    shuffles,
)

from benchmark import theory


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
