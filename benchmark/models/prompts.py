"""Questions as token ids, and token ids as answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmark.protocol.questions import Row


def tokenize_prompts(tokenizer: Any, rows: Sequence[Row]) -> list[list[int]]:
    """Token ids of the chat prompts of some rows, each ending where the answer begins."""
    encoded = tokenizer.apply_chat_template(
        [row["messages"] for row in rows], add_generation_prompt=True, tokenize=True, return_dict=True
    )
    prompts: list[list[int]] = encoded["input_ids"]
    return prompts


def pad_left(prompts: Sequence[Sequence[int]], pad_token_id: int) -> tuple[Any, Any]:
    """Prompts as one batch: `input_ids` and `attention_mask`, (batch, longest prompt), long."""
    import torch

    length = max(map(len, prompts))
    input_ids = torch.full((len(prompts), length), pad_token_id)
    attention_mask = torch.zeros_like(input_ids)
    for row, prompt in enumerate(prompts):
        input_ids[row, length - len(prompt) :] = torch.tensor(prompt)
        attention_mask[row, length - len(prompt) :] = 1
    return input_ids, attention_mask


def cut_answer(tokenizer: Any, tokens: list[int], stop_token_ids: Sequence[int] = ()) -> list[int]:
    """The tokens before the first one that ends an answer."""
    stops = set(stop_token_ids) or {tokenizer.eos_token_id}
    return tokens[: next((place for place, token in enumerate(tokens) if token in stops), len(tokens))]
