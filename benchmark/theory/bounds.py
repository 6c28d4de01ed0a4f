"""Lower bounds, in bits, on the error of factorised decoding: C(Y|X) and L_T, by enumeration and in closed form."""

from collections.abc import Hashable, Sequence
from functools import cache
from math import comb, exp2, factorial, log2

import numpy as np

from benchmark.theory.checks import check_count, step_sizes
from benchmark.theory.distributions import AnswerDistribution

SUBSET_LIMIT = 16
"""Most positions for which the entropies of all 2ⁿ subsets are computed."""

PARTITION_LIMIT = 10
"""Most positions for which the best partition is searched: there are 3ⁿ pairs of nested subsets."""


def entropy(distribution: AnswerDistribution, positions: Sequence[int] | None = None) -> float:
    """H of the answer's tokens at `positions` (all by default), in bits.

    Raises ValueError for a position outside the answer.
    """
    chosen = range(distribution.length) if positions is None else positions
    for position in chosen:
        if not 0 <= position < distribution.length:
            raise ValueError(f"positions lie in 0..{distribution.length - 1}, got {position}")
    counts: dict[tuple[object, ...], int] = {}
    for answer, weight in zip(distribution.answers, distribution.weights, strict=True):
        key = tuple(answer[position] for position in chosen)
        counts[key] = counts.get(key, 0) + weight
    total = sum(counts.values())
    return max(0.0, -sum(count / total * log2(count / total) for count in counts.values()))


def conditional_total_correlation(distribution: AnswerDistribution) -> float:
    """C(Y|X) = Σᵢ H(yᵢ|X) − H(Y|X), in bits: the smallest KL to the data that one factorised step can reach.

    Source: ParallelBench (arXiv 2510.04767), section 3.
    """
    marginals = sum(entropy(distribution, [position]) for position in range(distribution.length))
    return max(0.0, marginals - entropy(distribution))


def kl_bound(distribution: AnswerDistribution, sets: Sequence[Sequence[int]]) -> float:
    """L_T = Σ_t E[C(S_t | X, S_<t)], in bits, when step t commits S_t: T factorised steps have a KL of at least this.

    The ideal model has exactly this KL. The expectation is over the data's own prefixes, so by the chain rule
    L_T = Σ_t Σ_{i∈S_t} H(yᵢ | S_<t) − H(Y). One set gives C(Y|X), n sets of one position give 0. L_T bounds the
    error of the *distribution*; it is not a ceiling on accuracy and must not be plotted as one.

    `sets` is a partition of 0..length−1 in the order of the steps. Raises ValueError when it is not.
    Source: ParallelBench (arXiv 2510.04767), section 3.
    """
    check_partition(distribution, sets)
    revealed: list[int] = []
    bits = -entropy(distribution)
    for chosen in sets:
        known = entropy(distribution, revealed)
        bits += sum(entropy(distribution, [*revealed, position]) - known for position in chosen)
        revealed.extend(chosen)
    return max(0.0, bits)


def expected_kl_bound(distribution: AnswerDistribution, k: int | Sequence[int]) -> float:
    """E[L_T], in bits, when every step commits a uniformly random set of masked positions, k at a time.

    With h(r) the mean entropy of a subset of r positions, a position revealed after r others costs h(r+1) − h(r) on
    average, so E[L_T] = Σ_t k_t (h(r_t + 1) − h(r_t)) − h(n), r_t the number revealed before step t.

    `k` as in `step_sizes`. Raises ValueError for answers of more than 16 positions.
    Source: our derivation, verified by enumeration.
    """
    n = distribution.length
    sizes = step_sizes(n, k)
    check_size("the mean over all orders", n, SUBSET_LIMIT)
    mean = [0.0] * (n + 1)
    for subset, bits in enumerate(_subset_entropies(distribution)):
        mean[subset.bit_count()] += bits / comb(n, subset.bit_count())
    starts = [sum(sizes[:step]) for step in range(len(sizes))]
    total = sum(size * (mean[start + 1] - mean[start]) for size, start in zip(sizes, starts, strict=True))
    return max(0.0, total - mean[n])


def best_kl_bound(distribution: AnswerDistribution, steps: int) -> tuple[float, tuple[tuple[int, ...], ...]]:
    """The smallest L_T over all ordered partitions into T = `steps` non-empty sets: (bits, the sets that reach it).

    Exact, by dynamic programming over the revealed positions. It does not increase with T.

    Raises ValueError for steps outside 1..length and for answers of more than 10 positions.
    Source: ParallelBench (arXiv 2510.04767), section 3, for L_T; the search is ours.
    """
    n = distribution.length
    check_count("steps", steps)
    check_size("the best partition", n, PARTITION_LIMIT)
    if steps > n:
        raise ValueError(f"steps must be at most the {n} positions of an answer, got {steps}")
    joint = _subset_entropies(distribution)
    everything = (1 << n) - 1

    @cache
    def best(revealed: int, left: int) -> tuple[float, tuple[int, ...]]:
        masked = everything ^ revealed
        if left == 1:
            return cost(revealed, masked), (masked,)
        result: tuple[float, tuple[int, ...]] = (float("inf"), ())
        chosen = (masked - 1) & masked
        while chosen:
            if masked.bit_count() - chosen.bit_count() >= left - 1:
                bits, later = best(revealed | chosen, left - 1)
                result = min(result, (bits + cost(revealed, chosen), (chosen, *later)))
            chosen = (chosen - 1) & masked
        return result

    def cost(revealed: int, chosen: int) -> float:
        known = joint[revealed]
        alone = sum(joint[revealed | 1 << i] - known for i in range(n) if chosen >> i & 1)
        return max(0.0, alone - (joint[revealed | chosen] - known))

    bits, sets = best(0, steps)
    return bits, tuple(tuple(i for i in range(n) if chosen >> i & 1) for chosen in sets)


def validity_bound(bits: float) -> float:
    """2^(−L_T): the ideal sampler's P(valid) is at least this when its KL is L_T = `bits`.

    P puts all its mass on the valid answers, so log₂ 1/P(valid) ≤ KL by data processing; equality when the sampler
    is as uniform on the valid answers as the data (shuffle). Raises ValueError for negative bits.
    Source: our derivation, verified by enumeration.
    """
    if not bits >= 0:
        raise ValueError(f"a KL divergence is at least 0 bits, got {bits!r}")
    return exp2(-bits)


def copy_total_correlation(n: int) -> float:
    """C = 0 bits for copy, replace index and every task with one valid answer. Source: arXiv 2510.04767, section 4."""
    check_count("n", n)
    return 0.0


def shuffle_total_correlation(n: int) -> float:
    """C = n log₂ n − log₂ n! bits, all n! orders valid. Source: arXiv 2510.04767, section 4."""
    check_count("n", n)
    return n * log2(n) - log2(factorial(n))


def shuffle_kl_bound(n: int, k: int | Sequence[int]) -> float:
    """L_T = Σ_t k_t log₂ m_t − log₂ n! bits for every order, m_t items left before step t that commits k_t of them.

    `k` as in `step_sizes`. Source: our derivation, verified by enumeration.
    """
    left, bits = n, -log2(factorial(check_count("n", n)))
    for size in step_sizes(n, k):
        bits += size * log2(left)
        left -= size
    return max(0.0, bits)


def replace_random_total_correlation(n: int) -> float:
    """C = (n−1)[log₂ n − log₂(n−1)] bits (0 for n = 1) → log₂ e. Source: arXiv 2510.04767, section 4."""
    check_count("n", n)
    return (n - 1) * (log2(n) - log2(n - 1)) if n > 1 else 0.0


def insert_random_total_correlation(n: int) -> float:
    """C = Σᵢ H((N−i)/N, 1/N, (i−1)/N) − log₂ N bits, N = n + 1 slots, i = 1…N.

    Source: our derivation, verified by enumeration.
    """
    slots = check_count("n", n) + 1
    return sum(_entropy_of_counts(slots - i, 1, i - 1) for i in range(1, slots + 1)) - log2(slots)


def remove_random_total_correlation(n: int) -> float:
    """C = Σ_{i<n} h_b(i/n) − log₂ n bits. Source: our derivation, verified by enumeration."""
    check_count("n", n)
    return max(0.0, sum(_entropy_of_counts(i, n - i) for i in range(1, n)) - log2(n))


def latin_square_total_correlation() -> float:
    """C = 16 log₂ 4 − log₂ 576 = 22.83 bits for the 4×4 square. Source: our derivation, verified by enumeration."""
    return 16 * log2(4) - log2(576)


def check_partition(distribution: AnswerDistribution, sets: Sequence[Sequence[int]]) -> None:
    """Raise ValueError unless `sets` are non-empty and hold every position of the answer exactly once."""
    positions = [position for chosen in sets for position in chosen]
    if any(len(chosen) == 0 for chosen in sets) or sorted(positions) != list(range(distribution.length)):
        raise ValueError(
            f"sets must be non-empty and hold each of the positions 0..{distribution.length - 1} once, "
            f"got {[list(chosen) for chosen in sets]}"
        )


def check_size(what: str, n: int, limit: int) -> None:
    """Raise ValueError when an enumeration over n positions would be too large."""
    if n > limit:
        raise ValueError(f"{what} is enumerated for at most {limit} positions, got {n}")


def _entropy_of_counts(*counts: int) -> float:
    total = sum(counts)
    return -sum(count / total * log2(count / total) for count in counts if count)


def _subset_entropies(distribution: AnswerDistribution) -> list[float]:
    """Joint entropy of every subset of positions, in bits, indexed by the subset as a bit mask."""
    n = distribution.length
    tokens = [_numbered([answer[position] for answer in distribution.answers]) for position in range(n)]
    total = sum(distribution.weights)
    probabilities = np.array([weight / total for weight in distribution.weights])
    result = [0.0] * (1 << n)

    def extend(subset: int, first: int, classes: np.ndarray | None) -> None:
        for position in range(first, n):
            larger = subset | 1 << position
            if classes is None:
                result[larger] = result[subset]
                extend(larger, position + 1, None)
                continue
            joined = classes * (int(tokens[position].max()) + 1) + tokens[position]
            counts = np.bincount(joined, weights=probabilities)
            present = counts > 0
            mass = counts[present]
            refined = (np.cumsum(present) - 1)[joined]
            result[larger] = float(-(mass * np.log2(mass)).sum())
            # Once a subset tells all answers apart, more positions add nothing.
            extend(larger, position + 1, refined if len(mass) < len(probabilities) else None)

    extend(0, 0, np.zeros(len(probabilities), dtype=np.int64))
    return result


def _numbered(tokens: Sequence[Hashable]) -> np.ndarray:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(token, len(numbers)) for token in tokens])
