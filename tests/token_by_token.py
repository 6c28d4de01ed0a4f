"""What theory is held against: decoding enumerated token by token, and the answers of the tasks written down anew."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from itertools import combinations, permutations, product
from math import log2, prod

from hypothesis import strategies as st

Answers = dict[tuple[int, ...], int]  # relative weights
Sets = tuple[tuple[int, ...], ...]


# The tasks' answers, written down anew: item i of the input is i, a new item is 99.
def shuffles(n: int, must_differ: bool = False) -> Answers:
    return uniform([p for p in permutations(range(n)) if not (must_differ and p == tuple(range(n)))])


def replacements(n: int) -> Answers:
    return uniform([tuple(99 if i == j else i for i in range(n)) for j in range(n)])


def insertions(n: int) -> Answers:
    return uniform([(*tuple(range(n))[:j], 99, *tuple(range(n))[j:]) for j in range(n + 1)])


def removals(n: int) -> Answers:
    return uniform([tuple(i for i in range(n) if i != j) for j in range(n)])


def uniform(answers: list[tuple[int, ...]]) -> Answers:
    return dict.fromkeys(answers, 1)


def conditional(answers: Answers, state: tuple[int | None, ...], position: int) -> dict[int, Fraction]:
    """P(token at position | the revealed tokens of state); empty at a dead end."""
    revealed = [(i, token) for i, token in enumerate(state) if token is not None]
    counts: dict[int, int] = {}
    for answer, weight in answers.items():
        for i, token in revealed:
            if answer[i] != token:
                break
        else:
            counts[answer[position]] = counts.get(answer[position], 0) + weight
    total = sum(counts.values())
    return {token: Fraction(count, total) for token, count in counts.items()}


def proposals(marginal: dict[int, Fraction], greedy: bool) -> dict[int, Fraction]:
    if not greedy:
        return marginal
    likeliest = [token for token, probability in marginal.items() if probability == max(marginal.values())]
    return {token: Fraction(1, len(likeliest)) for token in likeliest}


def reveal(
    state: tuple[int | None, ...], positions: tuple[int, ...], tokens: tuple[int, ...]
) -> tuple[int | None, ...]:
    new = list(state)
    for position, token in zip(positions, tokens, strict=True):
        new[position] = token
    return tuple(new)


def decode_sets(answers: Answers, sets: Sets, greedy: bool = False) -> Fraction:
    """P(valid) by recursion over every combination of tokens the steps can commit."""

    @cache
    def recurse(step: int, state: tuple[int | None, ...]) -> Fraction:
        if step == len(sets):
            return Fraction(state in answers)
        drawn = [proposals(conditional(answers, state, position), greedy) for position in sets[step]]
        return sum(
            (
                prod((p for _, p in outcome), start=Fraction(1))
                * recurse(step + 1, reveal(state, sets[step], tuple(token for token, _ in outcome)))
                for outcome in product(*(choice.items() for choice in drawn))
            ),
            Fraction(0),
        )

    return recurse(0, (None,) * len(next(iter(answers))))


def decode_surest(
    answers: Answers,
    count: Callable[[list[Fraction]], int],
    greedy: bool = False,
    score: Callable[[dict[int, Fraction], int], Fraction] = lambda marginal, token: marginal[token],
) -> Fraction:
    """P(valid) when each step draws a token everywhere and commits the `count(scores)` surest, ties at random."""

    @cache
    def recurse(state: tuple[int | None, ...]) -> Fraction:
        masked = [position for position, token in enumerate(state) if token is None]
        if not masked:
            return Fraction(state in answers)
        marginals = [conditional(answers, state, position) for position in masked]
        if not marginals[0]:
            return Fraction(0)
        result = Fraction(0)
        for outcome in product(*(proposals(marginal, greedy).items() for marginal in marginals)):
            tokens = [token for token, _ in outcome]
            scores = [score(marginal, token) for marginal, token in zip(marginals, tokens, strict=True)]
            ranked = sorted(scores, reverse=True)
            size = count(ranked)
            sure = [i for i, value in enumerate(scores) if value > ranked[size - 1]]
            tied = [i for i, value in enumerate(scores) if value == ranked[size - 1]]
            choices = [sure + list(chosen) for chosen in combinations(tied, size - len(sure))]
            for chosen in choices:
                positions = tuple(masked[i] for i in chosen)
                reached = reveal(state, positions, tuple(tokens[i] for i in chosen))
                result += prod((p for _, p in outcome), start=Fraction(1)) * recurse(reached) / len(choices)
        return result

    return recurse((None,) * len(next(iter(answers))))


def ordered_partitions(positions: tuple[int, ...], sizes: tuple[int, ...]) -> Iterator[Sets]:
    if not sizes:
        yield ()
        return
    for chosen in combinations(positions, sizes[0]):
        rest = tuple(position for position in positions if position not in chosen)
        for later in ordered_partitions(rest, sizes[1:]):
            yield (chosen, *later)


def all_partitions(n: int, sizes: tuple[int, ...]) -> list[Sets]:
    return list(ordered_partitions(tuple(range(n)), sizes))


def compositions(n: int) -> Iterator[tuple[int, ...]]:
    if n == 0:
        yield ()
    for first in range(1, n + 1):
        for rest in compositions(n - first):
            yield (first, *rest)


def sampler_kl(answers: Answers, sets: Sets) -> float:
    """KL of the data from the ideal sampler, in bits: the sampler's probability of each answer, step by step."""
    bits = 0.0
    for answer, weight in answers.items():
        probability = Fraction(weight, sum(answers.values()))
        state: tuple[int | None, ...] = (None,) * len(answer)
        sampled = Fraction(1)
        for chosen in sets:
            for position in chosen:
                sampled *= conditional(answers, state, position)[answer[position]]
            state = reveal(state, chosen, tuple(answer[position] for position in chosen))
        bits += float(probability) * log2(probability / sampled)
    return bits


def chunks(order: tuple[int, ...], k: int) -> Sets:
    return tuple(order[start : start + k] for start in range(0, len(order), k))


def threshold_count(threshold: str) -> Callable[[list[Fraction]], int]:
    return lambda scores: len([c for c in scores if c >= Fraction(threshold)]) or 1


def factor_count(factor: str, rule: str) -> Callable[[list[Fraction]], int]:
    def count(scores: list[Fraction]) -> int:
        holds = [j for j, c in enumerate(scores, start=1) if (j + 1) * (1 - c) < Fraction(factor)]
        largest = max([1, *holds])
        return len(scores) if rule == "reference_code" and largest == len(scores) - 1 else largest

    return count


@st.composite
def weighted_answers(draw: st.DrawFn) -> Answers:
    length = draw(st.integers(1, 4))
    answers = draw(st.sets(st.tuples(*[st.integers(0, 2)] * length), min_size=1, max_size=7))
    weights = [draw(st.integers(1, 4)) for _ in answers]
    return dict(zip(sorted(answers), weights, strict=True))


@st.composite
def answers_and_sets(draw: st.DrawFn) -> tuple[Answers, Sets]:
    answers = draw(weighted_answers())
    n = len(next(iter(answers)))
    sizes = draw(st.sampled_from(list(compositions(n))))
    return answers, draw(st.sampled_from(list(ordered_partitions(tuple(range(n)), sizes))))
