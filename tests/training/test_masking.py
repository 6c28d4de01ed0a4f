"""What is masked of an answer."""

from itertools import permutations

import numpy as np
import pytest

from training.masking import draw_masks


def _masks(answers: int, window: int, separators: np.ndarray | None = None) -> np.ndarray:
    random = np.random.Generator(np.random.PCG64(1))
    flags = np.zeros((answers, window), dtype=bool) if separators is None else np.tile(separators, (answers, 1))
    return draw_masks(random, flags)


def test_something_is_always_masked() -> None:
    assert _masks(5000, 16).any(axis=1).all()


def test_every_number_of_masked_tokens_comes_up() -> None:
    numbers = np.bincount(_masks(5000, 16).sum(axis=1), minlength=17)
    assert numbers[0] == 0
    assert (numbers[1:] > 50).all()


def test_separators_are_often_all_that_is_shown() -> None:
    separators = np.arange(16) % 4 == 0
    masks = _masks(5000, 16, separators)
    only_separators = ~masks[:, separators].any(axis=1) & masks[:, ~separators].all(axis=1)
    assert only_separators.mean() > 0.01


def _line(order: tuple[int, ...], window: int = 10) -> list[int]:
    """A line of names of one, two and three tokens, 0 for the end and 1 to 3 for what stands between names."""
    names = ([10], [11, 12], [13, 14, 15])
    tokens = [1]
    for place, item in enumerate(order):
        tokens += [*names[item], 2 if place + 1 < len(order) else 3]
    return tokens + [0] * (window - len(tokens))


@pytest.mark.parametrize(
    "orders", [list(permutations(range(3)))[1:], [(1, 2), (0, 2), (0, 1)]], ids=["shuffle", "remove"]
)
def test_masking_favours_none_of_the_answers_that_agree_with_what_is_shown(orders: list[tuple[int, ...]]) -> None:
    random = np.random.Generator(np.random.PCG64(3))
    answers = np.array([_line(order) for order in orders])
    drawn = random.integers(0, len(answers), 300_000)
    shown = answers[drawn]
    states = np.where(draw_masks(random, (shown >= 1) & (shown <= 3)), -1, shown)
    _, first, members = np.unique(
        (states + 1) @ 17 ** np.arange(states.shape[1]), return_index=True, return_inverse=True
    )
    counts = np.zeros((len(first), len(answers)))
    np.add.at(counts, (members, drawn), 1)
    distance, freedom = 0.0, 0
    for state, found in zip(states[first], counts, strict=True):
        agreeing = (answers[:, state >= 0] == state[state >= 0]).all(axis=1)
        if agreeing.sum() < 2 or found.sum() < 5 * agreeing.sum():
            continue
        expected = found.sum() / agreeing.sum()
        distance += ((found[agreeing] - expected) ** 2 / expected).sum()
        freedom += int(agreeing.sum()) - 1
    # The distance is distributed as chi-squared: its mean is the freedom, its deviation the root of twice that.
    assert freedom > 30
    assert abs(distance - freedom) < 4 * (2 * freedom) ** 0.5
