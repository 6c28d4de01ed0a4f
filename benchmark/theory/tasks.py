"""The ideal model's accuracy by the name of a task, at item granularity, for plots and reports."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from benchmark.theory.adaptive import (
    CommitRule,
    replace_random_adaptive_accuracy,
    shuffle_adaptive_accuracy,
    top_k_rule,
)
from benchmark.theory.checks import check_count
from benchmark.theory.distributions import insert_random_distribution, remove_random_distribution
from benchmark.theory.enumeration import (
    RANDOM_ORDER_LIMIT,
    left_to_right_sets,
    random_order_valid_probability,
    valid_probability,
)
from benchmark.theory.fixed_order import (
    latin_square_left_to_right_accuracy,
    replace_random_accuracy,
    shuffle_accuracy,
    shuffle_must_differ_accuracy,
)

ORDERS = ("random", "left_to_right", "confidence", "margin", "entropy")
"""Scores that choose the k positions of a step, named as the schedulers' scores are."""

SINGLE_ANSWER_TASKS = frozenset(
    {"copy", "reverse", "sort", "insert_index", "remove_index", "replace_index", "sudoku"},
)
"""Tasks whose prompt leaves one valid answer, so that the ideal model is right at any speed."""


def closed_form(
    task: str, length: int, k: int, *, order: str = "random", greedy: bool = False, must_differ: bool = True
) -> float | None:
    """Accuracy of the ideal model that commits k *items* of the answer per step; None where none is known.

    Assumes: every item is one token and nothing else is decoded (no brackets, no padding), so `k` counts items and the
    points are comparable with a run only where that holds; one block, or for `left_to_right` blocks of k; the model's
    conditionals are the exact ones at every step; tokens are drawn at temperature 1, or with `greedy` the likeliest is
    taken and equal ones are drawn at random. The last step takes what is left.

    - `task`: a config name (`waiting_line_shuffle`, `waiting_line/shuffle`, `case_study_shuffle_n6`,
      `puzzle_latin_square_n4`) or the bare type (`shuffle`). Known are copy, reverse, sort, shuffle, insert_index,
      insert_random, remove_index, remove_random, replace_index, replace_random, latin_square, sudoku.
    - `length`: the dataset's column of that name: items in the prompt, or grid size.
    - `order`: one of `ORDERS`. `confidence` commits the surest proposals; the others do not look at what was drawn.
    - `must_differ`: whether shuffle excludes its input, as the dataset's task and scorer do; False takes all n! orders.

    Values come from the closed forms where there is one and from exact enumeration otherwise: insert and remove random
    in random order up to 9 and 11 items, left to right at any length; the Latin square left to right, 4×4 only.

    Raises ValueError for length < 1 (2 for shuffle that must differ and for remove random), k < 1 or an unknown order.
    """
    check_count("length", length)
    check_count("k", k)
    if order not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(ORDERS)}, got {order!r}")
    kind = _task_type(task)
    if kind in SINGLE_ANSWER_TASKS:
        return 1.0
    if kind == "shuffle":
        if not must_differ:
            return shuffle_accuracy(length, k)
        if order == "confidence":
            return shuffle_adaptive_accuracy(length, top_k_rule(k), must_differ=True, greedy=greedy)
        return shuffle_must_differ_accuracy(length, k, greedy=greedy)
    if kind == "replace_random":
        if order == "confidence":
            return replace_random_adaptive_accuracy(length, top_k_rule(k), greedy=greedy)
        return replace_random_accuracy(length, k, greedy=greedy)
    if kind in ("insert_random", "remove_random"):
        return _edit_accuracy(kind, length, k, order, greedy)
    if kind == "latin_square" and length == 4:
        if order == "left_to_right" or k >= 16:
            return latin_square_left_to_right_accuracy(k, greedy=greedy)
        return 1.0 if k == 1 else None
    return None


def answer_items(task: str, length: int) -> int | None:
    """Items in a right answer to a question of `length`, as `closed_form` counts them; None for texts."""
    kind = _task_type(task)
    if kind in ("latin_square", "sudoku"):
        return length * length
    if kind in ("insert_index", "insert_random"):
        return length + 1
    if kind in ("remove_index", "remove_random"):
        return length - 1
    return length if kind in SINGLE_ANSWER_TASKS or kind in ("shuffle", "replace_random") else None


def adaptive_closed_form(
    task: str, length: int, rule: CommitRule, *, greedy: bool = False, must_differ: bool = True
) -> float | None:
    """Accuracy of the ideal model under `threshold_rule(γ)` or `factor_rule(f)`; None where none is known.

    `task`, `length`, `greedy`, `must_differ` and what is assumed are those of `closed_form`, in one block. Known are
    the tasks with a single answer, shuffle, replace random and, greedy, remove random. The score is confidence.

    Raises ValueError for length < 1 (2 for shuffle that must differ and for remove random).
    """
    check_count("length", length)
    kind = _task_type(task)
    if kind in SINGLE_ANSWER_TASKS:
        return 1.0
    if kind == "shuffle":
        return shuffle_adaptive_accuracy(length, rule, must_differ=must_differ, greedy=greedy)
    if kind == "replace_random":
        return replace_random_adaptive_accuracy(length, rule, greedy=greedy)
    if kind == "remove_random" and greedy:
        check_count("length", length, 2)
        return 1.0
    return None


def mean_closed_form(
    task: str,
    lengths: Iterable[int],
    k: int,
    *,
    order: str = "random",
    greedy: bool = False,
    must_differ: bool = True,
) -> float | None:
    """Mean of `closed_form` over `lengths`, one entry per row of the data; None where any of them has none.

    Raises ValueError when there are no lengths, and as `closed_form` does.
    """
    return mean_over_lengths(
        lengths, lambda length: closed_form(task, length, k, order=order, greedy=greedy, must_differ=must_differ)
    )


def mean_over_lengths(lengths: Iterable[int], form: Callable[[int], float | None]) -> float | None:
    """Mean of `form` over `lengths`, called once for each that differs; None where it gives None for any of them.

    Raises ValueError when there are no lengths.
    """
    rows = list(lengths)
    if not rows:
        raise ValueError("lengths must name at least one row, got none")
    known = {length: form(length) for length in sorted(set(rows))}
    values = [value for length in rows if (value := known[length]) is not None]
    return sum(values) / len(rows) if len(values) == len(rows) else None


@lru_cache(maxsize=1024)
def _edit_accuracy(kind: str, length: int, k: int, order: str, greedy: bool) -> float | None:
    distribution = insert_random_distribution(length) if kind == "insert_random" else remove_random_distribution(length)
    positions = distribution.length
    if k == 1 or (kind == "remove_random" and greedy):
        return 1.0
    if order == "left_to_right" or k >= positions:
        return float(valid_probability(distribution, left_to_right_sets(positions, k), greedy=greedy))
    if order == "random" and positions <= RANDOM_ORDER_LIMIT:
        return float(random_order_valid_probability(distribution, k, greedy=greedy))
    return None


def _task_type(task: str) -> str:
    name = re.sub(r"[/-]", "_", task)
    name = re.sub(r"^(waiting_line|case_study|puzzle)_(n\d+_)?", "", name)
    return re.sub(r"(_n?\d+)+$", "", name)
