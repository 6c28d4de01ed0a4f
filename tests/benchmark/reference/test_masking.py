"""What is hidden of an answer."""

import numpy as np

from benchmark.reference.masking import draw_masks


def _masks(answers: int, window: int, separators: np.ndarray | None = None) -> np.ndarray:
    random = np.random.Generator(np.random.PCG64(1))
    flags = np.zeros((answers, window), dtype=bool) if separators is None else np.tile(separators, (answers, 1))
    return draw_masks(random, flags)


def test_something_is_always_hidden() -> None:
    assert _masks(5000, 16).any(axis=1).all()


def test_every_number_of_hidden_tokens_comes_up() -> None:
    numbers = np.bincount(_masks(5000, 16).sum(axis=1), minlength=17)
    assert numbers[0] == 0
    assert (numbers[1:] > 50).all()


def test_separators_are_often_all_that_is_shown() -> None:
    separators = np.arange(16) % 4 == 0
    masks = _masks(5000, 16, separators)
    only_separators = ~masks[:, separators].any(axis=1) & masks[:, ~separators].all(axis=1)
    assert only_separators.mean() > 0.01
