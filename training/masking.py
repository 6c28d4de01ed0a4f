"""Which tokens of a training answer are masked: the states that random and confident decoding pass through.

Every way of masking looks at positions and at kinds of tokens alone, never at which items stand where or where an
answer ends; kinds reveal nothing where all right answers have as many separators. So the right answers that agree with
what is left are as likely afterwards as they were before, and the conditionals that are learned are those of the task.
"""

from __future__ import annotations

import numpy as np

# Shares of the ways to mask: any number of tokens anywhere; all but a few; separators and the rest at rates of their
# own; all but the two ends. Greedy decoding in random order reveals separators first, confident decoding the ends.
UNIFORM, NEARLY_ALL, BY_KIND, MIDDLE = 0.4, 0.15, 0.25, 0.2
_MOST_REVEALED = 6


def draw_masks(generator: np.random.Generator, is_separator: np.ndarray) -> np.ndarray:
    """Masks for a batch of answers; at least one token of each is masked.

    Args:
        generator: where the draws come from.
        is_separator: (answers, window), whether the token stands between items.

    Returns:
        (answers, window), bool, True where a token is masked.
    """
    answers, window = is_separator.shape
    positions = np.arange(window)
    noise = generator.random((answers, window))
    rank = noise.argsort(axis=1).argsort(axis=1)

    uniform = rank < 1 + np.floor(generator.random((answers, 1)) * window)
    nearly_all = rank < window - np.floor(generator.random((answers, 1)) * (_MOST_REVEALED + 1))
    # All and nothing as often as anything between.
    shares = np.clip(generator.random((answers, 2)) * 2 - 0.5, 0, 1)
    by_kind = noise < np.where(is_separator, shares[:, :1], shares[:, 1:])
    ends = generator.random((answers, 4))
    begin = np.floor(ends[:, :1] * window)
    end = np.where(ends[:, 1:2] < 0.5, window, np.ceil((0.3 + 0.7 * ends[:, 2:3]) * window))
    revealed_between = np.clip(ends[:, 3:] - 0.5, 0, 0.5)
    middle = (positions >= begin) & (positions < end) & (noise >= revealed_between)

    way = generator.random((answers, 1))
    edges = np.cumsum([UNIFORM, NEARLY_ALL, BY_KIND])
    masks = np.where(
        way < edges[0], uniform, np.where(way < edges[1], nearly_all, np.where(way < edges[2], by_kind, middle))
    )
    # There is nothing to learn from an answer that shows everything: mask one token of it.
    complete = ~masks.any(axis=1)
    masks[complete] = rank[complete] == 0
    return masks
