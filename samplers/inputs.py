"""What `generate` is given: validated, and brought into the form that the loop works on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .denoisers import Denoiser
from .schedulers.validation import check_count


def check_inputs(
    input_ids: Tensor,
    attention_mask: Tensor | None,
    max_new_tokens: int,
    block_length: int | None,
    generator: Any,
) -> Tensor | None:
    """Validate; returns the attention mask (batch, prompt), or None where nothing is padded.

    Raises:
        TypeError: `input_ids` is no tensor.
        ValueError: a shape, dtype or number is wrong, or a prompt is padded elsewhere than on the left.
    """
    if not isinstance(input_ids, Tensor):
        raise TypeError(f"input_ids is a {type(input_ids).__name__}; it should be a tensor (batch, prompt), long")
    if input_ids.dim() != 2 or input_ids.dtype != torch.long:
        raise ValueError(
            f"input_ids has shape {tuple(input_ids.shape)} and dtype {input_ids.dtype}; "
            "it should be (batch, prompt), long"
        )
    check_count("max_new_tokens", max_new_tokens, optional=False)
    check_count("block_length", block_length)
    if isinstance(generator, Sequence) and len(generator) != len(input_ids):
        raise ValueError(f"got {len(generator)} generators for a batch of {len(input_ids)} rows; give one per row")
    if attention_mask is None:
        return None
    if attention_mask.shape != input_ids.shape:
        raise ValueError(
            f"attention_mask has shape {tuple(attention_mask.shape)}; "
            f"it should be that of input_ids, {tuple(input_ids.shape)}"
        )
    padding = attention_mask == 0
    # Left padding: once a token is real, all that follow are.
    if bool((padding[:, 1:] & ~padding[:, :-1]).any()) or bool(padding[:, -1:].any()):
        raise ValueError("attention_mask marks padding after a token; prompts are padded on the left")
    return attention_mask if bool(padding.any()) else None


def find_mask_token_id(given: int | None, denoiser: Denoiser) -> int:
    """The mask token that was given, else the model's.

    Raises:
        ValueError: nobody names it.
    """
    found = given if given is not None else denoiser.mask_token_id
    if found is None:
        raise ValueError("mask_token_id is not known: neither the model nor its config has one; pass mask_token_id=")
    return found


def prepare_answer(prefill: Tensor | None, input_ids: Tensor, max_new_tokens: int, mask_token_id: int) -> Tensor:
    """The answers before the first step, (batch, max_new_tokens), long: what `prefill` holds, and masks.

    Raises:
        TypeError: `prefill` is no tensor.
        ValueError: it has another batch size or dtype than `input_ids`, or more than `max_new_tokens` columns.
    """
    answer = input_ids.new_full((len(input_ids), max_new_tokens), mask_token_id)
    if prefill is None:
        return answer
    if not isinstance(prefill, Tensor):
        raise TypeError(f"prefill is a {type(prefill).__name__}; it should be a tensor (batch, at most new), long")
    rows_fit = prefill.dim() == 2 and len(prefill) == len(input_ids)
    if not rows_fit or prefill.shape[1] > max_new_tokens or prefill.dtype != torch.long:
        raise ValueError(
            f"prefill has shape {tuple(prefill.shape)} and dtype {prefill.dtype}; it should be "
            f"({len(input_ids)}, at most {max_new_tokens}), long"
        )
    answer[:, : prefill.shape[1]] = prefill
    return answer
