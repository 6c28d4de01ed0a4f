"""Counting over the pattern of a set of answers."""

import numpy as np
import torch

from benchmark.ideal.patterns import AnswerPattern

# Four answers of three labels; the middle position is the same in all.
LABELS = np.array([[1, 2, 3], [3, 2, 1], [1, 2, 1], [1, 2, 4]])


def test_columns_are_the_labels_of_positions_that_vary():
    pattern = AnswerPattern.from_labels(LABELS)
    columns = list(zip(pattern.column_positions.tolist(), pattern.column_labels.tolist(), strict=True))
    assert columns == [(0, 1), (0, 3), (2, 1), (2, 3), (2, 4)]
    assert pattern.totals.tolist() == [3, 1, 2, 1, 1]
    assert pattern.num_answers == 4


def test_a_single_answer_has_no_columns():
    pattern = AnswerPattern.from_labels(LABELS[:1])
    assert (pattern.num_answers, pattern.num_columns) == (1, 0)


def test_counts_follow_what_is_revealed():
    pattern = AnswerPattern.from_labels(LABELS)
    matches = torch.tensor([[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 1, 0, 0], [0, 1, 0, 0, 1]], dtype=torch.float32)
    revealed = torch.tensor([[0.0], [1.0], [2.0], [2.0]])
    with_label, agreeing = pattern.count(matches, revealed)
    assert agreeing.squeeze(1).tolist() == [4, 3, 1, 0]
    assert with_label.tolist() == [[3, 1, 2, 1, 1], [3, 0, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 0]]


def test_a_revealed_token_that_no_answer_has_agrees_with_none():
    pattern = AnswerPattern.from_labels(LABELS)
    _, agreeing = pattern.count(torch.zeros(1, pattern.num_columns), torch.ones(1, 1))
    assert agreeing.item() == 0
