"""Which keys a query may look at, for the four kinds of attention; shared by the networks and the sessions."""

from __future__ import annotations

import torch
from torch import Tensor

from .family import Attention


def token_positions(real: Tensor) -> Tensor:
    """Positions that count real tokens alone, (batch, length), long; padding before the first token stands at 0.

    Args:
        real: (batch, length), bool, True for tokens and False for padding.
    """
    return (real.long().cumsum(dim=1) - 1).clamp(min=0)


def answer_starts(input_ids: Tensor, answer_start_token_id: int) -> Tensor:
    """Index after the last `answer_start_token_id` of each row, (batch,), long; a row without one is all prompt."""
    length = input_ids.shape[1]
    places = torch.arange(1, length + 1, device=input_ids.device)
    found = torch.where(input_ids == answer_start_token_id, places, 0).amax(dim=1)
    return torch.where(found == 0, length, found)


def visible_keys(
    attention: Attention,
    *,
    queries: tuple[int, int],
    keys: int,
    real: Tensor | None = None,
    block_length: int | None = None,
    prompt_length: int | Tensor | None = None,
    device: torch.device | None = None,
) -> Tensor | None:
    """The attention mask of a stretch of a sequence, or None where every query sees every key.

    Padding is hidden as a key and left alone as a query: no row of the mask is empty, so no kernel gives NaN.

    Args:
        attention: "full": all keys; "block_causal": the keys of the query's block and of those before it;
            "prompt_first": a query in the prompt sees the prompt, one in the answer everything; "causal_context": one
            before `prompt_length` sees itself and what is before it, one from there on everything.
        queries: first and last (exclusive) index of the queries.
        keys: the keys are those at indices 0 to `keys` (exclusive).
        real: (batch, at least `keys`), bool, False for padding; None where there is none. Blocks are counted from
            the first real token of each row.
        block_length: length of a block of block-causal attention.
        prompt_length: tokens of the prompt, padding included: one number, or (batch,); for "causal_context" all that
            stands before the open block, which the keys end with. None means that there is no prompt.
        device: of the mask, where no tensor is given; None means torch's default device.

    Returns:
        (batch or 1, 1, queries, keys), bool, True where the query may look.
    """
    first, last = queries
    mask: Tensor | None = None
    if attention == "block_causal" and block_length is not None:
        # Queries of the one last block see all there is.
        if real is not None or first // block_length != (keys - 1) // block_length:
            places = torch.arange(keys, device=device)[None] if real is None else token_positions(real[:, :keys])
            blocks = places // block_length
            mask = blocks[:, first:last, None] >= blocks[:, None, :]
    elif attention == "prompt_first" and prompt_length is not None:
        indices = torch.arange(keys, device=device)
        if isinstance(prompt_length, Tensor):
            starts = prompt_length.reshape(-1, 1)
            mask = (indices[first:last] >= starts)[:, :, None] | (indices < starts)[:, None, :]
        elif first < prompt_length:
            mask = ((indices[first:last] >= prompt_length)[:, None] | (indices < prompt_length))[None]
    elif attention == "causal_context" and prompt_length is not None:
        indices = torch.arange(keys, device=device)
        starts = torch.as_tensor(prompt_length, device=device).reshape(-1, 1)
        if isinstance(prompt_length, Tensor) or first < prompt_length:
            # Padding stands at the first token's place: no row is empty.
            places = indices[None] if real is None else token_positions(real[:, :keys])
            is_open = (indices[first:last] >= starts).reshape(-1, last - first, 1)
            mask = is_open | (places[:, first:last, None] >= places[:, None, :])
    if real is not None:
        seen = real[:, None, :keys]
        mask = seen.expand(-1, last - first, -1) if mask is None else mask & seen
    return None if mask is None else mask[:, None]
