"""Accuracy of the ideal model when the surest proposals are committed: top k by confidence, threshold and factor."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from math import comb

from benchmark.theory.checks import check_count, exact_decimal
from benchmark.theory.fixed_order import distinct_and_moved, keep_and_move, shuffle_fraction

CommitRule = Callable[[Sequence[Fraction]], int]
"""How many of the masked positions a step commits, given the confidences of their proposals, surest first."""


def top_k_rule(k: int) -> CommitRule:
    """The k surest, or all that are left. Raises ValueError for k < 1."""
    check_count("k", k)
    return lambda confidences: min(k, len(confidences))


def threshold_rule(threshold: float) -> CommitRule:
    """All with confidence ≥ γ, and at least the surest; γ is read as the decimal it is written as.

    A confidence that equals γ passes. In a run such a case (replace random, (m−1)/m = 0.8 at m = 5) is decided by
    rounding and by the noise that breaks ties, position by position.
    """
    gamma = exact_decimal("threshold", threshold)
    return lambda confidences: max(1, sum(confidence >= gamma for confidence in confidences))


def factor_rule(factor: float, rule: str = "theorem") -> CommitRule:
    """The largest j with (j+1)(1 − c₍ⱼ₎) < f, and at least 1; f is read as the decimal it is written as.

    `rule="reference_code"` commits the very last masked token too when only that one fails, so two always go together.
    Equality fails. In a run such a case (replace random at f = 1, where (j+1)/m = 1 for j = m − 1) is decided by
    rounding and noise, which `theorem` survives and `reference_code` does not. Raises ValueError for another rule.
    Source: the theorem is Fast-dLLM's (arXiv 2505.22618); the other rule is that of ParallelBench's published runs.
    """
    f = exact_decimal("factor", factor)
    if rule not in ("theorem", "reference_code"):
        raise ValueError(f"rule must be 'theorem' or 'reference_code', got {rule!r}")

    def count(confidences: Sequence[Fraction]) -> int:
        committed = 1
        while committed < len(confidences) and (committed + 2) * (1 - confidences[committed]) < f:
            committed += 1
        if rule == "reference_code" and committed == len(confidences) - 1:
            committed += 1
        return committed

    return count


def shuffle_adaptive_accuracy(n: int, rule: CommitRule, *, must_differ: bool = False, greedy: bool = False) -> float:
    """Accuracy on shuffle under a commit rule.

    All orders valid: with m items left every proposal has confidence 1/m, so j = rule(1/m, …) are committed and are
    distinct with probability m!/((m−j)! m^j); sampled and greedy agree. `must_differ` leaves out the input, as the
    dataset does: while nothing has moved, a proposal to stay (a) is less sure than one to move (b), see
    `shuffle_must_differ_accuracy`, and the moves go first.

    Which of equally sure positions go first makes no difference. Raises ValueError for n < 1 (2 with `must_differ`).
    Source: our derivation, verified by enumeration.
    """
    check_count("n", n, 2 if must_differ else 1)

    @cache
    def plain(left: int) -> Fraction:
        if left == 0:
            return Fraction(1)
        count = rule([Fraction(1, left)] * left)
        distinct = shuffle_fraction(left, [count, *[1] * (left - count)])
        return distinct * plain(left - count)

    @cache
    def unmoved(left: int) -> Fraction:
        if left < 2:
            return Fraction(0)
        stay, move = keep_and_move(left)
        result = Fraction(0)
        for staying in range(1 if greedy else left + 1):
            moving = left - staying
            probability = comb(left, staying) * stay**staying * (1 - stay) ** moving if not greedy else Fraction(1)
            count = rule([move] * moving + [stay] * staying)
            moved = min(count, moving)
            if moved == 0:
                afterwards = unmoved(left - count)
            else:
                ways = distinct_and_moved(moved, left - (count - moved))
                afterwards = Fraction(ways, (left - 1) ** moved) * plain(left - count)
            result += probability * afterwards
        return result

    return float(unmoved(n) if must_differ else plain(n))


def replace_random_adaptive_accuracy(n: int, rule: CommitRule, *, greedy: bool = False) -> float:
    """Accuracy on replace random under a commit rule.

    While the new item is not placed and m positions are left, a position proposes the old item with confidence
    (m−1)/m and the new one with 1/m. The old ones are surer (m > 2) and go first. The answer is wrong when the last
    position takes the old item or two positions take the new one in one step; once it is placed, the rest is certain.
    `greedy`: no position proposes the new item before m = 2, where the two tie and are drawn at random.

    Raises ValueError for n < 1. Source: our derivation, verified by enumeration.
    """
    check_count("n", n)

    @cache
    def unplaced(left: int) -> Fraction:
        new = Fraction(1, left)
        result = Fraction(0)
        for proposing in range(left + 1):
            if greedy and left > 2:
                probability = Fraction(proposing == 0)
            else:
                probability = comb(left, proposing) * new**proposing * (1 - new) ** (left - proposing)
            if not probability:
                continue
            count = rule([1 - new] * (left - proposing) + [new] * proposing)
            placed = max(0, count - (left - proposing))
            if placed:
                result += probability * (placed == 1)
            elif count < left:
                result += probability * unplaced(left - count)
        return result

    return float(unplaced(n))


def shuffle_threshold_accuracy(n: int, threshold: float) -> float:
    """m*!/m*^{m*} with m* = max{m ≤ n : 1/m ≥ γ} (1 when there is none): shuffle, all orders valid, threshold γ.

    Items are committed one at a time until m* are left, which then go together. Sampled and greedy agree.
    Source: our derivation, verified by enumeration.
    """
    return shuffle_adaptive_accuracy(n, threshold_rule(threshold))


def replace_random_threshold_accuracy(n: int, threshold: float, *, greedy: bool = True) -> float:
    """Replace random with threshold γ. Greedy, n ≥ 3: 0 if (n−1)/n ≥ γ, else 1; n = 2: ½ if ½ ≥ γ, else 1.

    Sampled (`greedy=False`): the recursion of `replace_random_adaptive_accuracy`.
    Source: our derivation, verified by enumeration.
    """
    return replace_random_adaptive_accuracy(n, threshold_rule(threshold), greedy=greedy)


def shuffle_factor_accuracy(n: int, factor: float, rule: str = "theorem") -> float:
    """Shuffle, all orders valid, with factor f: a product over steps of m!/((m−j)! m^j), j by the rule at c = 1/m.

    With `rule="theorem"` it is 1 for f ≤ 1.5. Sampled and greedy agree.
    Source: our derivation, verified by enumeration.
    """
    return shuffle_adaptive_accuracy(n, factor_rule(factor, rule))


def replace_random_factor_accuracy(n: int, factor: float, rule: str = "theorem", *, greedy: bool = True) -> float:
    """Replace random with factor f. Greedy, n ≥ 2: `theorem` gives 1 for f ≤ 1, `reference_code` ½ or 0.

    Source: our derivation, verified by enumeration.
    """
    return replace_random_adaptive_accuracy(n, factor_rule(factor, rule), greedy=greedy)
