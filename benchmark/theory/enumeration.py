"""The ideal sampler's P(valid) on a finite distribution over answers, for given or random sets of positions; exact."""

from collections.abc import Hashable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from itertools import combinations, pairwise

from benchmark.theory.bounds import check_partition, check_size
from benchmark.theory.checks import step_sizes
from benchmark.theory.distributions import AnswerDistribution

RANDOM_ORDER_LIMIT = 10
"""Most positions for which all orders are averaged."""


def valid_probability(
    distribution: AnswerDistribution, sets: Sequence[Sequence[int]], *, greedy: bool = False
) -> Fraction:
    """Probability that the ideal model's answer is valid when step t commits the positions `sets[t]`; exact.

    In every step each position's token is drawn from its own conditional given the prompt and the earlier steps
    (temperature 1); with `greedy` it is the likeliest token, and equally likely ones are drawn at random, each
    position for itself. An answer that can no longer become valid counts as wrong at once.

    `sets` is a partition of 0..length−1 in the order of the steps; ValueError when it is not.
    Source: the factorised sampler of ParallelBench (arXiv 2510.04767), section 3.
    """
    check_partition(distribution, sets)
    consistent = _ConsistentSets(distribution, greedy)
    states = {consistent.everything: Fraction(1)}
    for chosen in sets:
        after: dict[int, Fraction] = {}
        for state, probability in states.items():
            for reached, factor in consistent.after_step(state, chosen):
                after[reached] = after.get(reached, Fraction(0)) + probability * factor
        states = after
    return sum(states.values(), Fraction(0))


def random_order_valid_probability(
    distribution: AnswerDistribution, k: int | Sequence[int], *, greedy: bool = False
) -> Fraction:
    """`valid_probability` averaged over all orders: every step commits a uniformly random set of masked positions.

    `k` as in `step_sizes`. Raises ValueError for answers of more than 10 positions: all their subsets are visited.
    """
    n = distribution.length
    sizes = step_sizes(n, k)
    check_size("the mean over all orders", n, RANDOM_ORDER_LIMIT)
    consistent = _ConsistentSets(distribution, greedy)

    @cache
    def from_here(step: int, state: int, masked: tuple[int, ...]) -> Fraction:
        if consistent.decided(state):
            return Fraction(1)
        mean, choices = Fraction(0), 0
        for chosen in combinations(masked, sizes[step]):
            choices += 1
            rest = tuple(position for position in masked if position not in chosen)
            for reached, factor in consistent.after_step(state, chosen):
                mean += factor * from_here(step + 1, reached, rest)
        return mean / choices

    return from_here(0, consistent.everything, tuple(range(n)))


def left_to_right_sets(n: int, k: int | Sequence[int]) -> list[tuple[int, ...]]:
    """The positions 0..n−1 in order, cut into steps; `k` as in `step_sizes`."""
    starts = [0]
    for size in step_sizes(n, k):
        starts.append(starts[-1] + size)
    return [tuple(range(start, stop)) for start, stop in pairwise(starts)]


class _ConsistentSets:
    """Decoding seen as shrinking the set of answers consistent with what is revealed, held as a bit mask."""

    def __init__(self, distribution: AnswerDistribution, greedy: bool) -> None:
        self.greedy = greedy
        self.everything = (1 << len(distribution.answers)) - 1
        self._weights = distribution.weights
        self._equal_weights = len(set(distribution.weights)) == 1
        self._having: list[list[int]] = []
        for position in range(distribution.length):
            having: dict[Hashable, int] = {}
            for index, answer in enumerate(distribution.answers):
                having[answer[position]] = having.get(answer[position], 0) | 1 << index
            self._having.append(list(having.values()))

    def decided(self, state: int) -> bool:
        """Whether a single answer is left, so that every further token is certain."""
        return state & (state - 1) == 0

    def after_step(self, state: int, chosen: Sequence[int]) -> Iterator[tuple[int, Fraction]]:
        """Non-empty sets reached by drawing the chosen positions independently given `state`, with probabilities.

        Together they miss the mass of the dead ends.
        """
        if self.decided(state):
            yield state, Fraction(1)
            return
        # Counts multiply as integers and are divided once: much faster than fractions all along.
        reached = {state: 1}
        denominator = 1
        for position in chosen:
            outcomes = self._token_weights(state, position)
            denominator *= sum(weight for _, weight in outcomes)
            narrowed: dict[int, int] = {}
            for partial, mass in reached.items():
                for having, weight in outcomes:
                    if kept := partial & having:
                        narrowed[kept] = narrowed.get(kept, 0) + mass * weight
            reached = narrowed
        for kept, mass in reached.items():
            yield kept, Fraction(mass, denominator)

    def _token_weights(self, state: int, position: int) -> list[tuple[int, int]]:
        tokens = [(having, self._mass(state & having)) for having in self._having[position] if state & having]
        if not self.greedy:
            return tokens
        largest = max(mass for _, mass in tokens)
        return [(having, 1) for having, mass in tokens if mass == largest]

    def _mass(self, state: int) -> int:
        if self._equal_weights:
            return state.bit_count()
        return sum(weight for index, weight in enumerate(self._weights) if state >> index & 1)
