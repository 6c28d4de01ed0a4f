"""What the answers of a row look like once its words are taken out, so that rows of one kind share their tables."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class AnswerPattern:
    """Which labels (see `AnswerTable`) stand where in the valid answers.

    All lines of three people have the same five shuffles: only the names differ. A *column* is one label at one
    position that not all answers share.

    Attributes:
        column_positions: (columns,), long: the position of each column in the answer, ascending.
        column_labels: (columns,), long: its label, ascending within a position.
        one_hot: (answers, columns), float32: 1 where an answer has the column's label at its position.
        totals: (columns,), float32: the number of answers with that label there.
    """

    column_positions: Tensor
    column_labels: Tensor
    one_hot: Tensor
    totals: Tensor

    @classmethod
    def from_labels(cls, labels: np.ndarray) -> "AnswerPattern":
        """The pattern of the answers' labels, (answers, length), int64."""
        varying = np.flatnonzero((labels != labels[0]).any(axis=0))
        distinct = [np.unique(labels[:, position]) for position in varying]
        positions = np.repeat(varying, [len(found) for found in distinct])
        column_labels = np.concatenate([np.empty(0, dtype=np.int64), *distinct])
        one_hot = torch.from_numpy(labels[:, positions] == column_labels).float()
        return cls(
            torch.from_numpy(positions), torch.from_numpy(column_labels), one_hot, one_hot.double().sum(dim=0).float()
        )

    @property
    def num_answers(self) -> int:
        return self.one_hot.shape[0]

    @property
    def num_columns(self) -> int:
        return self.one_hot.shape[1]

    def count(self, matches: Tensor, revealed: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers of the answers that agree with what rows have revealed.

        Float32 sums of zeros and ones are exact up to 2²⁴ in any order, so the result does not depend on how a matrix
        product is carried out.

        Args:
            matches: (rows, columns), float32: 1 where the token that a column's label stands for is revealed.
            revealed: (rows, 1), float32: revealed positions among those that have columns.

        Returns:
            Answers that agree and have the column's label, (rows, columns), and all that agree, (rows, 1); float32.
        """
        consistent = (matches @ self.one_hot.T == revealed).to(self.one_hot.dtype)
        return consistent @ self.one_hot, consistent.sum(dim=1, keepdim=True)
