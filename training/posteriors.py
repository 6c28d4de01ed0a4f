"""Exact targets: where a question's right answers can be listed, what is learned is their distribution, not samples.

A model that is trained on one right answer at a time sees the distribution through noise. Where all the answers fit
into a table, the share of those that agree with a state gives every masked token's probabilities exactly; and states
can be reached as greedy decoding would reach them, by committing to the likeliest token position after position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations

import numpy as np

from hub_dataset.generators.latin_square import latin_squares

# Lines longer than that have too many orders for a table.
LONGEST_SHUFFLE = 6
LIST_SCORERS = ("list_shuffle", "list_insert", "list_remove", "list_replace")
# Shares of states reached by greedy decoding in random order and in the order of confidence; others mask parts of an
# answer that is drawn.
GREEDY_RANDOM, GREEDY_CONFIDENT = 0.35, 0.2


@dataclass(frozen=True, slots=True)
class Choices:
    """A question whose right answers differ in which items stand where.

    `items` are the line's people in order, with the new one at the end where there is one, or the square's symbols.
    """

    scorer: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Punctuation:
    """Ids of what stands between items: `["`, `", "` and `"]` in lists, a comma and a line feed in squares."""

    opening: int
    between: int
    closing: int
    comma: int
    line_feed: int
    end: int


@dataclass(frozen=True, slots=True)
class AnswerTable:
    """All right answers of a question.

    Attributes:
        rows: (answers, longest answer), numbers of tokens; shorter answers are filled up with end tokens.
        tokens: (numbers,), the token that a number stands for; 0 stands for the end token.
        lengths: (answers,), tokens before the filling.
    """

    rows: np.ndarray
    tokens: np.ndarray
    lengths: np.ndarray


def can_list(scorer: str, items: int) -> bool:
    """Whether the right answers fit into a table."""
    return scorer == "latin_square" or (
        scorer in LIST_SCORERS and not (scorer == "list_shuffle" and items > LONGEST_SHUFFLE)
    )


def answer_table(choices: Choices, item_ids: Sequence[Sequence[int]], marks: Punctuation) -> AnswerTable:
    """The table of a question whose items have the tokens `item_ids`."""
    if choices.scorer == "latin_square":
        return _square_table(len(choices.items), item_ids, marks)
    orders = _orders(choices.scorer, len(choices.items))
    tokens, numbers = np.unique(
        np.array([token for ids in item_ids for token in ids], dtype=np.int16), return_inverse=True
    )
    # Numbers 0 to 3 are end and punctuation; an item's segment begins with what stands before it.
    tokens = np.concatenate([np.array([marks.end, marks.opening, marks.between, marks.closing], np.int16), tokens])
    lengths = np.array([len(ids) + 1 for ids in item_ids])
    segments = np.full((len(item_ids), int(lengths.max())), 2)
    start = 0
    for item, ids in enumerate(item_ids):
        segments[item, 1 : len(ids) + 1] = numbers[start : start + len(ids)] + 4
        start += len(ids)

    sizes = lengths[orders]
    totals = sizes.sum(axis=1) + 1
    begins = np.cumsum(sizes, axis=1) - sizes
    flat_sizes = sizes.ravel()
    item_of = np.repeat(orders.ravel(), flat_sizes)
    line_begins = np.cumsum(flat_sizes) - flat_sizes
    position_in_item = np.arange(len(item_of)) - np.repeat(line_begins, flat_sizes)
    rows = np.zeros((len(orders), int(totals.max())), dtype=np.uint8)
    line = np.repeat(np.arange(len(orders)), sizes.sum(axis=1))
    position = np.repeat(begins.ravel(), flat_sizes) + position_in_item
    rows[line, position] = segments[item_of, position_in_item]
    rows[:, 0] = 1
    rows[np.arange(len(orders)), totals - 1] = 3
    return AnswerTable(rows, tokens, totals)


def draw_state(
    table: AnswerTable, masked: np.ndarray, drawn: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A state of decoding: what is masked, what stands elsewhere, and the answers that agree with it.

    Args:
        table: the right answers.
        masked: (window,), bool, what to mask of the answer `drawn` if the state is not reached by greedy decoding.
        drawn: the number of an answer.
        generator: where the draws come from.

    Returns:
        Masked positions (window,), bool; numbers of tokens (window,), right where nothing is masked; and the numbers of
        the answers that agree, (agreeing,).
    """
    window = len(masked)
    way = generator.random()
    state = np.zeros(window, dtype=np.uint8)
    length = table.rows.shape[1]
    if way >= GREEDY_RANDOM + GREEDY_CONFIDENT:
        state[:length] = table.rows[drawn]
        shown = np.flatnonzero(~masked[:length])
        agreeing = np.flatnonzero((table.rows[:, shown] == state[shown]).all(axis=1))
        return masked, state, agreeing
    steps = int(generator.random() * window)
    reveal = _reveal_in_random_order if way < GREEDY_RANDOM else _reveal_in_confident_order
    return reveal(table.rows, window, steps, generator)


def targets(
    table: AnswerTable, agreeing: np.ndarray, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distribution of the tokens at masked positions of a window, given that the answer is an agreeing one.

    Returns:
        Three arrays of one length: which of `positions`, the token there, and its probability.
    """
    length, size = table.rows.shape[1], len(table.tokens)
    inside = positions[positions < length]
    beyond = len(positions) - len(inside)
    columns = table.rows[agreeing[:, None], inside].astype(np.int64)
    columns += np.arange(len(inside)) * size
    counts = np.bincount(columns.ravel(), minlength=len(inside) * size).reshape(len(inside), size)
    owners, numbers = counts.nonzero()
    weights = counts[owners, numbers] / len(agreeing)
    return (
        np.concatenate([owners, np.arange(len(inside), len(positions))]),
        np.concatenate([table.tokens[numbers], np.full(beyond, table.tokens[0])]),
        np.concatenate([weights, np.ones(beyond)]),
    )


def _reveal_in_random_order(
    rows: np.ndarray, window: int, steps: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    masked = np.ones(window, dtype=bool)
    state = np.zeros(window, dtype=np.uint8)
    order = generator.permutation(window)[:steps]
    masked[order] = False
    agreeing = np.arange(len(rows))
    for position in order[order < rows.shape[1]]:
        agreeing, state[position] = _commit(rows, agreeing, position, generator)
    return masked, state, agreeing


def _reveal_in_confident_order(
    rows: np.ndarray, window: int, steps: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    masked = np.ones(window, dtype=bool)
    state = np.zeros(window, dtype=np.uint8)
    agreeing = np.arange(len(rows))
    length, size = rows.shape[1], int(rows.max()) + 1
    while steps > 0:
        inside = np.flatnonzero(masked[:length])
        columns = rows[agreeing[:, None], inside]
        certain = np.concatenate(
            [inside[(columns == columns[0]).all(axis=0)], length + np.flatnonzero(masked[length:])]
        )
        if len(certain):
            chosen = generator.permutation(certain)[:steps]
            masked[chosen] = False
            known = chosen[chosen < length]
            state[known] = rows[agreeing[0], known]
            steps -= len(chosen)
            continue
        counts = np.bincount(
            (columns.astype(np.int64) + np.arange(len(inside)) * size).ravel(), minlength=len(inside) * size
        ).reshape(len(inside), size)
        best = counts.max(axis=1)
        positions = inside[best == best.max()]
        position = positions[int(generator.random() * len(positions))]
        agreeing, state[position] = _commit(rows, agreeing, position, generator)
        masked[position] = False
        steps -= 1
    return masked, state, agreeing


def _commit(
    rows: np.ndarray, agreeing: np.ndarray, position: int, generator: np.random.Generator
) -> tuple[np.ndarray, int]:
    """The likeliest token at a position, drawn among equals, and the answers that agree with it."""
    column = rows[agreeing, position]
    counts = np.bincount(column)
    likeliest = np.flatnonzero(counts == counts.max())
    number = int(likeliest[int(generator.random() * len(likeliest))] if len(likeliest) > 1 else likeliest[0])
    return agreeing[column == number], number


@cache
def _orders(scorer: str, items: int) -> np.ndarray:
    """Right answers as rows of item numbers."""
    if scorer == "list_shuffle":
        return np.array(list(permutations(range(items)))[1:])
    if scorer == "list_remove":
        return np.array([[item for item in range(items) if item != gone] for gone in range(items)])
    line, new = list(range(items - 1)), items - 1
    if scorer == "list_insert":
        return np.array([[*line[:index], new, *line[index:]] for index in range(items)])
    return np.array([[*line[:index], new, *line[index + 1 :]] for index in range(items - 1)])


def _square_table(size: int, item_ids: Sequence[Sequence[int]], marks: Punctuation) -> AnswerTable:
    cells = _square_cells(size)
    tokens = np.array([marks.end, marks.comma, marks.line_feed, *(ids[0] for ids in item_ids)], dtype=np.int16)
    rows = np.ones((len(cells), 2 * size * size - 1), dtype=np.uint8)
    rows[:, 0::2] = cells + 3
    rows[:, 2 * size - 1 :: 2 * size] = 2
    return AnswerTable(rows, tokens, np.full(len(cells), rows.shape[1]))


@cache
def _square_cells(size: int) -> np.ndarray:
    return np.array([[cell for row in square for cell in row] for square in latin_squares(size)])
