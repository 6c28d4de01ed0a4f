"""The tokens of another model for the answers of some rows, so that the ideal model decodes what that model decodes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .answers import valid_answers
from .tokenizer import ASSISTANT, END, MASK, PAD, UNKNOWN

_SPECIAL_TOKENS = (PAD, END, MASK, UNKNOWN, ASSISTANT)


class BorrowedTokenizer:
    """What the exact denoiser and the runner need of a tokenizer, with a lender's tokens numbered anew.

    Answers are cut as the lender cuts them. Of its vocabulary only what occurs in them has a number, as a matrix of
    logits over 150,000 tokens would cost far more than the conditionals. They are numbered in the lender's order, so
    that of two tokens the same one comes first whichever rows there are: what is drawn for a row does not depend on the
    others. A prompt is one token that names the row, as the ideal model takes nothing else from it, and the token after
    which answers begin.

    Args:
        lender: a transformers tokenizer.
        rows: rows in the dataset's schema; `messages` and `reference` are read.
    """

    def __init__(self, lender: Any, rows: Iterable[Mapping[str, Any]]) -> None:
        self._lender = lender
        self._id_of_token = {token: index for index, token in enumerate(_SPECIAL_TOKENS)}
        self._pieces: dict[str, list[str]] = {}
        found: dict[int, str] = {}
        for row in rows:
            self._id_of_token.setdefault(_row_token(row["messages"]), len(self._id_of_token))
            for answer in valid_answers(row["reference"], include_input=True):
                pieces = self.tokenize(answer)
                found |= zip(lender.convert_tokens_to_ids(pieces), pieces, strict=True)
        self._lent_from = len(self._id_of_token)
        self._lent_ids = sorted(found)
        for lent in self._lent_ids:
            self._id_of_token[_lent(found[lent])] = len(self._id_of_token)
        self.pad_token_id, self.eos_token_id, self.mask_token_id, self.unk_token_id = range(4)

    def __len__(self) -> int:
        return len(self._id_of_token)

    def tokenize(self, answer: str) -> list[str]:
        """The lender's tokens of an answer."""
        if answer not in self._pieces:
            self._pieces[answer] = self._lender.tokenize(answer)
        return self._pieces[answer]

    def convert_tokens_to_ids(self, token: str) -> int:
        """The number of a special token, or of one that occurs in the valid answers; else that of the unknown token."""
        found = self._id_of_token.get(_lent(token))
        return self._id_of_token.get(token, self.unk_token_id) if found is None else found

    def apply_chat_template(
        self, conversations: Sequence[Sequence[Mapping[str, str]]], **options: Any
    ) -> dict[str, list[list[int]]]:
        """`input_ids` of prompts, two tokens each."""
        start = self._id_of_token[ASSISTANT]
        return {"input_ids": [[self._id_of_token[_row_token(messages)], start] for messages in conversations]}

    def decode(self, token_ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        """The text of an answer's tokens; special ones have none."""
        lent = [self._lent_ids[token - self._lent_from] for token in token_ids if token >= self._lent_from]
        text: str = self._lender.decode(lent, skip_special_tokens=skip_special_tokens)
        return text


def _row_token(messages: Any) -> str:
    return "row " + json.dumps(messages, sort_keys=True)


def _lent(piece: str) -> str:
    # A lender's token may be called like one of the special tokens here.
    return "lent " + piece
