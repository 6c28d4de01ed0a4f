"""Answers as text while they are being decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from .outputs import GenerationStep

#: What a tokenizer writes for bytes that make no character, such as the first half of one.
_BROKEN = "\ufffd"
#: A character of UTF-8 has at most four bytes, so that at most three tokens of one byte each wait for its last.
_WAITING = 3


def partial_texts(
    steps: Iterable[GenerationStep],
    tokenizer: Any,
    *,
    placeholder: str = "_",
    separator: str = "",
    stop_token_ids: Sequence[int] | None = None,
) -> Iterator[list[str]]:
    """The answers after each step as texts, one per row, with a placeholder for every token that is still masked.

        for texts in partial_texts(stream(model, input_ids, scheduler=scheduler), tokenizer):
            print(texts[0])

    A token that holds a part of a character whose other part is still masked has a placeholder too.

    Args:
        steps: from `stream`.
        tokenizer: a transformers tokenizer. Runs of decoded tokens are turned into text each on its own.
        placeholder: stands for one masked token.
        separator: stands between runs and placeholders.
        stop_token_ids: an answer ends at the first of these. None means those of the steps, which are the model's, or
            the tokenizer's end token where they have none.
    """
    for step in steps:
        stops = step.stop_token_ids if stop_token_ids is None else stop_token_ids
        yield [
            partial_text(
                row,
                tokenizer,
                step.mask_token_id,
                placeholder=placeholder,
                separator=separator,
                stop_token_ids=stops,
            )
            for row in step.sample.tolist()
        ]


def partial_text(
    tokens: list[int],
    tokenizer: Any,
    mask_token_id: int,
    *,
    placeholder: str = "_",
    separator: str = "",
    stop_token_ids: Sequence[int] = (),
) -> str:
    """One partly decoded answer as text; see `partial_texts`, and `cut_answer` for where it ends."""
    answer = cut_answer(tokens, tokenizer, stop_token_ids)
    pieces: list[str] = []
    runs = [(masked, list(run)) for masked, run in groupby(answer, key=lambda token: token == mask_token_id)]
    for number, (masked, run) in enumerate(runs):
        if masked:
            pieces.extend(placeholder for _ in run)
            continue
        before, whole, behind = _whole_characters(run, tokenizer, number > 0, number < len(runs) - 1)
        pieces.extend(placeholder for _ in range(before))
        pieces.extend([_text(tokenizer, whole)] if whole else [])
        pieces.extend(placeholder for _ in range(behind))
    return separator.join(pieces)


def cut_answer(tokens: list[int], tokenizer: Any, stop_token_ids: Sequence[int] = ()) -> list[int]:
    """The tokens before the first stop token; where none is named, before the tokenizer's end token."""
    stops = set(stop_token_ids) or {tokenizer.eos_token_id}
    return tokens[: next((place for place, token in enumerate(tokens) if token in stops), len(tokens))]


def _whole_characters(run: list[int], tokenizer: Any, opens: bool, goes_on: bool) -> tuple[int, list[int], int]:
    """The tokens of a run without those at its ends that wait for a masked neighbour, and how many those are.

    `opens` and `goes_on` say whether there is a masked token before the run, and behind it.
    """
    before = behind = 0
    while goes_on and behind < min(_WAITING, len(run)) and _text(tokenizer, run[: len(run) - behind]).endswith(_BROKEN):
        behind += 1
    run = run[: len(run) - behind]
    while opens and before < min(_WAITING, len(run)) and _text(tokenizer, run[before:]).startswith(_BROKEN):
        before += 1
    return before, run[before:], behind


def _text(tokenizer: Any, tokens: list[int]) -> str:
    text: str = tokenizer.decode(tokens, skip_special_tokens=True)
    return text
