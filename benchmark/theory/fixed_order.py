"""Closed-form accuracy of the ideal model when positions are chosen without looking at the proposals, k per step."""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from math import comb, factorial, perm

from benchmark.theory.checks import check_count, step_sizes
from benchmark.theory.distributions import latin_square_distribution
from benchmark.theory.enumeration import left_to_right_sets, valid_probability


def copy_accuracy(n: int, k: int | Sequence[int]) -> float:
    """1 for every n and k: copy, replace index and every task with one valid answer have C = 0.

    Source: ParallelBench (arXiv 2510.04767), section 4.
    """
    step_sizes(n, k)
    return 1.0


def shuffle_accuracy(n: int, k: int | Sequence[int]) -> float:
    """n! / ∏ m_t^{k_t}, all n! orders valid; m_t items are left before step t, which commits k_t of them.

    The same for every order of positions, sampled or greedy, because all conditionals are uniform (ties broken at
    random). One step gives n!/nⁿ, k = 2 gives (n−1)!!/n!!. `k` as in `step_sizes`.
    Source: ParallelBench (arXiv 2510.04767), section 4; any k: our derivation, verified by enumeration.
    """
    return float(shuffle_fraction(n, step_sizes(n, k)))


def shuffle_must_differ_accuracy(n: int, k: int | Sequence[int], *, greedy: bool = False) -> float:
    """Accuracy on the dataset's shuffle, whose answer is any order but the input; n ≥ 2.

    While every committed item stands where the input has it, with m items left an item keeps its place with
    probability a = ((m−1)!−1)/(m!−1) and goes to another given one with b = (m−1)!/(m!−1). A step of k then leads with
    Σ_{f<k} C(k,f) N(k−f, m−f) a^f b^{k−f} to a state that is a plain shuffle of the rest, and with a^k to the same
    state with m − k. N(g, M) = Σᵢ (−1)^i C(g,i) (M−i)!/(M−g)! counts the ways to give g positions distinct items out
    of M, none its own. One step: Σ_{f<n} C(n,f) D_{n−f} a^f b^{n−f}, D = derangements. `greedy`: b > a, so nothing
    keeps its place and the other m − 1 items tie.

    Holds for every order of positions that does not depend on the proposals (random, left to right, margin,
    entropy); for the surest proposals first see `shuffle_adaptive_accuracy`. `k` as in `step_sizes`.
    Source: our derivation, verified by enumeration.
    """
    check_count("n", n, 2)
    left, unmoved, correct = n, Fraction(1), Fraction(0)
    sizes = step_sizes(n, k)
    for step, size in enumerate(sizes):
        if left == 1:
            break
        stay, move = (Fraction(0), Fraction(1, left - 1)) if greedy else keep_and_move(left)
        moved = sum(
            comb(size, kept) * distinct_and_moved(size - kept, left - kept) * stay**kept * move ** (size - kept)
            for kept in range(size)
        )
        rest = left - size
        afterwards = shuffle_fraction(rest, sizes[step + 1 :])
        correct += unmoved * moved * afterwards
        unmoved *= stay**size
        left = rest
    return float(correct)


def replace_random_accuracy(n: int, k: int | Sequence[int], *, greedy: bool = False) -> float:
    """Accuracy on replace random, where the new item must stand at exactly one of n positions.

    Sampled: Σ_t [∏_{s<t} (1−1/m_s)^{k_s}] · k_t (1/m_t)(1−1/m_t)^{k_t−1}, m_t positions left before step t that commits
    k_t; one step gives ((n−1)/n)^{n−1} → 1/e. Greedy: the old item wins wherever more than two positions are left, so
    only the last step's size r counts: r = 1 → 1, r = 2 → ½ (ties broken at random), r > 2 → 0.

    Holds for every order of positions that does not depend on the proposals. `k` as in `step_sizes`.
    Source: our derivation, verified by enumeration; one step: ParallelBench (arXiv 2510.04767), section 4.
    """
    sizes = step_sizes(n, k)
    if greedy:
        return {1: 1.0, 2: 0.5}.get(sizes[-1], 0.0)
    left, unplaced, correct = n, Fraction(1), Fraction(0)
    for size in sizes:
        old = Fraction(left - 1, left)
        correct += unplaced * size * Fraction(1, left) * old ** (size - 1)
        unplaced *= old**size
        left -= size
    return float(correct)


def insert_random_one_step_accuracy(n: int) -> float:
    """(N−1)!·2^{N−1}/N^N, N = n + 1 slots: insert random into n items, all committed in one sampled step.

    Source: our derivation, verified by enumeration.
    """
    slots = check_count("n", n) + 1
    return float(Fraction(factorial(slots - 1) * 2 ** (slots - 1), slots**slots))


def remove_random_one_step_accuracy(n: int) -> float:
    """n!·2^{n−1}/nⁿ: remove random from n items, all n − 1 that stay committed in one sampled step.

    Source: our derivation, verified by enumeration.
    """
    check_count("n", n)
    return float(Fraction(factorial(n) * 2 ** (n - 1), n**n))


def remove_random_greedy_accuracy(n: int, k: int | Sequence[int]) -> float:
    """1 at every k and in every order: the likelier item of each position follows the middle of the open interval.

    `k` counts out the n − 1 items of the answer, as in `step_sizes`; n ≥ 2.
    Source: our derivation, verified by enumeration.
    """
    step_sizes(check_count("n", n, 2) - 1, k)
    return 1.0


def latin_square_one_step_accuracy() -> float:
    """576/4¹⁶ = 1.34·10⁻⁷ for the 4×4 square, whose cells are uniform.

    Source: our derivation, verified by enumeration.
    """
    return 576 / 4**16


@lru_cache(maxsize=64)
def latin_square_left_to_right_accuracy(k: int, *, greedy: bool = False) -> float:
    """Accuracy on the 4×4 Latin square decoded row by row, k cells at a time: 0.135 for k = 2, 0.001736 for k = 4.

    Exact, by recursion over the sets of squares that are still consistent. Raises ValueError for k < 1.
    Source: our derivation, verified by enumeration.
    """
    return float(valid_probability(latin_square_distribution(4), left_to_right_sets(16, k), greedy=greedy))


def keep_and_move(left: int) -> tuple[Fraction, Fraction]:
    """(a, b) of `shuffle_must_differ_accuracy` with `left` ≥ 2 items, nothing moved so far."""
    others = factorial(left - 1)
    return Fraction(others - 1, factorial(left) - 1), Fraction(others, factorial(left) - 1)


def distinct_and_moved(positions: int, items: int) -> int:
    """N(g, M): ways to give g positions distinct items out of M, their own g among these and none getting its own."""
    return sum((-1) ** i * comb(positions, i) * perm(items - i, positions - i) for i in range(positions + 1))


def shuffle_fraction(n: int, sizes: Sequence[int]) -> Fraction:
    """`shuffle_accuracy` as a fraction, for n ≥ 0 and step sizes that sum to n."""
    left, denominator = n, 1
    for size in sizes:
        denominator *= left**size
        left -= size
    return Fraction(factorial(n), denominator)
