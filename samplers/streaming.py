"""Answers as text while they are being decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from .outputs import GenerationStep


def partial_texts(
    steps: Iterable[GenerationStep], tokenizer: Any, *, placeholder: str = "_", separator: str = ""
) -> Iterator[list[str]]:
    """The answers after each step as texts, one per row, with a placeholder for every token that is still masked.

        for texts in partial_texts(stream(model, input_ids, scheduler=scheduler), tokenizer):
            print(texts[0])

    Args:
        steps: from `stream`.
        tokenizer: a transformers tokenizer. Runs of decoded tokens are turned into text each on its own; an answer ends
            at its first end token.
        placeholder: stands for one masked token.
        separator: stands between runs and placeholders.
    """
    for step in steps:
        yield [
            partial_text(row, tokenizer, step.mask_token_id, placeholder=placeholder, separator=separator)
            for row in step.sample.tolist()
        ]


def partial_text(
    tokens: list[int], tokenizer: Any, mask_token_id: int, *, placeholder: str = "_", separator: str = ""
) -> str:
    """One partly decoded answer as text; see `partial_texts`."""
    end = tokenizer.eos_token_id
    if end in tokens:
        tokens = tokens[: tokens.index(end)]
    pieces: list[str] = []
    for masked, run in groupby(tokens, key=lambda token: token == mask_token_id):
        if masked:
            pieces.extend(placeholder for _ in run)
        else:
            pieces.append(tokenizer.decode(list(run), skip_special_tokens=True))
    return separator.join(pieces)
