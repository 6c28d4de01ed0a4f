"""Turns the valid answers of a row into a table of token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, cast

import numpy as np
from transformers import PreTrainedTokenizerFast

from .answers import join_items, split_items
from .borrowed import BorrowedTokenizer
from .tokenizer import ItemTokenizer, ends_are_alphanumeric, token_id


@dataclass(frozen=True, slots=True, eq=False)
class AnswerTable:
    """Tokenized answers of one row, shorter ones filled up with end tokens.

    A *label* says which token of which item or separator stands at a place: two people who share a first name have one
    token and two labels there. Labels are numbered as they come up, from 1; 0 is the filling. So rows of one kind have
    one table of labels, whatever their words are.

    Attributes:
        labels: (answers, longest answer), int64.
        token_of_label: (labels,), int64: the token id that a label stands for.
    """

    labels: np.ndarray
    token_of_label: np.ndarray

    @property
    def tokens(self) -> np.ndarray:
        """Token ids, (answers, longest answer), int64."""
        return cast(np.ndarray, self.token_of_label[self.labels])


def encode_answers(
    tokenizer: PreTrainedTokenizerFast | BorrowedTokenizer, answers: Sequence[str], form: str
) -> AnswerTable:
    """Tokenize canonical answers without special tokens: one token per item with an `ItemTokenizer`, words or the
    lender's tokens with the other two.

    Args:
        tokenizer: From `build_tokenizer`, or a `BorrowedTokenizer`.
        answers: Answers of one row.
        form: Their `answer_form`.

    Raises:
        ValueError: An answer holds a word or an item that the tokenizer does not know.
    """
    pieces_of_answers, are_tokens = _cut(tokenizer, answers, form)
    tokens = [tokenizer.eos_token_id]
    labels_of_piece: dict[str, list[int]] = {}
    for answer, pieces in zip(answers, pieces_of_answers, strict=True):
        for piece in pieces:
            if piece not in labels_of_piece:
                ids = [token_id(tokenizer, piece)] if are_tokens else cast(Any, tokenizer)(piece).input_ids
                if tokenizer.unk_token_id in ids:
                    raise ValueError(
                        f"the tokenizer does not know {piece!r} of the answer {answer!r}; build it from the same rows"
                    )
                labels_of_piece[piece] = list(range(len(tokens), len(tokens) + len(ids)))
                tokens.extend(ids)
    lines = [list(chain.from_iterable(labels_of_piece[piece] for piece in pieces)) for pieces in pieces_of_answers]
    labels = np.zeros((len(lines), max(map(len, lines))), dtype=np.int64)
    for row, line in zip(labels, lines, strict=True):
        row[: len(line)] = line
    return AnswerTable(labels, np.array(tokens, dtype=np.int64))


def _cut(
    tokenizer: PreTrainedTokenizerFast | BorrowedTokenizer, answers: Sequence[str], form: str
) -> tuple[list[list[str]], bool]:
    """Every answer in pieces that can be tokenized one by one, and whether each piece is a token already."""
    items = [split_items(answer, form) for answer in answers]
    if isinstance(tokenizer, ItemTokenizer):
        return items, True
    borrowed = isinstance(tokenizer, BorrowedTokenizer)
    if not borrowed and ends_are_alphanumeric(set(chain.from_iterable(items))):
        pieces = [_with_separators(line, form) for line in items]
        if all("".join(cut) == answer for cut, answer in zip(pieces, answers, strict=True)):
            return pieces, False
    return [tokenizer.tokenize(answer) for answer in answers], True


def _with_separators(items: Sequence[str], form: str) -> list[str]:
    """Items and what stands between them in a canonical answer, in order."""
    separators = _separators(len(items), form)
    return [piece for pair in zip(separators, [*items, ""], strict=True) for piece in pair if piece]


@lru_cache(maxsize=64)
def _separators(num_items: int, form: str) -> list[str]:
    return join_items(["\0"] * num_items, form).split("\0")
