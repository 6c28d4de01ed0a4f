"""Finite distributions over answers, and the ones of the tasks whose valid answers can be listed."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, permutations
from math import lcm

from benchmark.theory.checks import check_count
from hub_dataset.generators.latin_square import latin_squares

Answer = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class AnswerDistribution:
    """P(Y|X) for one prompt: distinct answers of one length (≥ 1) and their relative weights, positive integers.

    Answers of probability 0 are not listed: an answer is valid when it is in `answers`. Build one with `uniform` or
    `weighted`, which check what they are given.
    """

    answers: tuple[Answer, ...]
    weights: tuple[int, ...]

    @classmethod
    def uniform(cls, answers: Iterable[Iterable[Hashable]]) -> "AnswerDistribution":
        """Equal probability for every answer; an answer given twice counts once."""
        return cls.weighted({tuple(answer): 1 for answer in answers})

    @classmethod
    def weighted(cls, weights: Mapping[Answer, int | float | Fraction]) -> "AnswerDistribution":
        """Probability proportional to the given weights, taken exactly (a float is the binary fraction that it is).

        Raises ValueError when there is no answer, when lengths differ or are 0, and for a weight that is not a
        positive finite number.
        """
        if not weights:
            raise ValueError("a distribution needs at least one answer, got none")
        lengths = {len(answer) for answer in weights}
        if len(lengths) > 1 or 0 in lengths:
            raise ValueError(f"all answers must have one length of at least 1, got lengths {sorted(lengths)}")
        fractions = []
        for answer, weight in weights.items():
            if not 0 < weight < float("inf"):
                raise ValueError(f"weights must be positive and finite, got {weight!r} for {answer!r}")
            fractions.append(Fraction(weight))
        denominator = lcm(*(weight.denominator for weight in fractions))
        return cls(tuple(weights), tuple(int(weight * denominator) for weight in fractions))

    @property
    def length(self) -> int:
        """Number of positions of an answer."""
        return len(self.answers[0])


def copy_distribution(n: int) -> AnswerDistribution:
    """The one answer of copy; any task with a single answer (reverse, sort, replace index …) is the same to theory."""
    return AnswerDistribution.uniform([range(check_count("n", n))])


def shuffle_distribution(n: int, *, must_differ: bool = False) -> AnswerDistribution:
    """All n! orders of n items, uniform; `must_differ` leaves out the input itself, as the dataset's task does.

    Raises ValueError for n < 1, and for n < 2 with `must_differ`: one item has no other order.
    """
    check_count("n", n, 2 if must_differ else 1)
    orders = permutations(range(n))
    if must_differ:
        next(orders)
    return AnswerDistribution.uniform(orders)


def replace_random_distribution(n: int) -> AnswerDistribution:
    """n items of which one, anywhere, has become the new item (written n): n answers, uniform."""
    check_count("n", n)
    return AnswerDistribution.uniform((*range(i), n, *range(i + 1, n)) for i in range(n))


def insert_random_distribution(n: int) -> AnswerDistribution:
    """n items and a new one (written n) anywhere among them: n + 1 answers of n + 1 items, uniform."""
    check_count("n", n)
    return AnswerDistribution.uniform((*range(i), n, *range(i, n)) for i in range(n + 1))


def remove_random_distribution(n: int) -> AnswerDistribution:
    """n ≥ 2 items without one of them: n answers of n − 1 items, uniform."""
    check_count("n", n, 2)
    return AnswerDistribution.uniform((*range(i), *range(i + 1, n)) for i in range(n))


def latin_square_distribution(order: int = 4) -> AnswerDistribution:
    """All Latin squares of an order from 1 to 4, read row by row, uniform: 1, 2, 12 and 576 answers of order² items."""
    check_count("order", order)
    if order > 4:
        raise ValueError(f"Latin squares are listed up to order 4, got {order}")
    return AnswerDistribution.uniform(chain.from_iterable(square) for square in latin_squares(order))
