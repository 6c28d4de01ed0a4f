"""Questions as token ids, and what a tokenizer and a model need for them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.protocol.questions import Row


def tokenize_prompts(
    tokenizer: Any, rows: Sequence[Row], chat_options: Mapping[str, Any] | None = None
) -> list[list[int]]:
    """Token ids of the chat prompts of some rows, each ending where the answer begins.

    `chat_options` is what the chat template is told beside the messages.
    """
    encoded = tokenizer.apply_chat_template(
        [row["messages"] for row in rows],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        **(chat_options or {}),
    )
    prompts: list[list[int]] = encoded["input_ids"]
    return prompts


def template_knows(tokenizer: Any, option: str) -> bool:
    """Whether an option's name stands in a tokenizer's chat template; templates ignore what they do not know."""
    return re.search(rf"\b{re.escape(option)}\b", tokenizer.get_chat_template()) is not None


def check_chat_options(tokenizer: Any, chat_options: Mapping[str, Any], name: str) -> None:
    """Whether the chat template of the model called `name` reads these options.

    Raises:
        ValueError: it does not, or they are what every prompt is made with.
    """
    ours = inspect.signature(tokenizer.apply_chat_template).parameters
    for option in chat_options:
        if option in ours or option == "messages":
            raise ValueError(f"--chat-option {option}: cannot be set; the benchmark sets it itself to make prompts")
        if not template_knows(tokenizer, option):
            raise ValueError(f"--chat-option {option}: the chat template of {name} does not know it")


def pad_left(prompts: Sequence[Sequence[int]], pad_token_id: int, length: int | None = None) -> tuple[Any, Any]:
    """Prompts as one batch: `input_ids` and `attention_mask`, (batch, `length` or longest prompt), long."""
    import torch

    length = length or max(map(len, prompts))
    input_ids = torch.full((len(prompts), length), pad_token_id)
    attention_mask = torch.zeros_like(input_ids)
    for row, prompt in enumerate(prompts):
        input_ids[row, length - len(prompt) :] = torch.tensor(prompt)
        attention_mask[row, length - len(prompt) :] = 1
    return input_ids, attention_mask


def check_tokenizer(tokenizer: Any, name: str, *, chats: bool = True) -> None:
    """Whether questions can be put to the model called `name` with its tokenizer, as chats or not, and its answers end.

    Raises:
        ValueError: the tokenizer has no chat template, or no end token.
    """
    if chats and not getattr(tokenizer, "chat_template", None):
        raise ValueError(f"the tokenizer of {name} has no chat template, so questions cannot be put to it")
    if tokenizer.eos_token_id is None:
        raise ValueError(f"the tokenizer of {name} names no end token, so its answers have no end")


def check_lengths(
    prompts: Sequence[Sequence[int]], new_tokens: int, vocabulary: int | None, context: int | None
) -> None:
    """Whether the model knows the tokens of these prompts, and prompt and answer fit into its context.

    Raises:
        ValueError: they do not. A number that nobody knows (None) is not checked.
    """
    longest, last = max(map(len, prompts)), max(map(max, prompts))
    if vocabulary is not None and last >= vocabulary:
        raise ValueError(
            f"the tokenizer gives token id {last}, but the model has {vocabulary} tokens: they do not fit together"
        )
    if context is not None and longest + new_tokens > context:
        raise ValueError(
            f"the longest prompt takes {longest} tokens, with {new_tokens} new ones "
            f"{longest + new_tokens}; the model's context is {context} tokens"
        )
