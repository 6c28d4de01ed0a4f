"""Shadow tokens: what a model predicts at a position if it sees the whole sequence but the token there."""

from __future__ import annotations

import torch
from torch import Tensor


def with_shadows(
    input_ids: Tensor,
    positions: Tensor,
    visible: Tensor | None,
    window: tuple[int, int],
    *,
    keys: int,
    mask_token_id: int,
    first: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """What a model is given to predict a window twice in one forward pass.

    A mask token is appended for each of the w positions of the window. It has that position's id, sees what a token
    there sees but the one at that position, and of the shadows itself alone; nothing else sees a shadow (WINO,
    arXiv 2507.18578, figure 2; there the shadows of a block see each other).

    Args:
        input_ids: (batch, queries), long: the tokens from position `first` on.
        positions: (batch or 1, queries), long: their position ids.
        visible: (batch or 1, 1, queries, keys), bool, True where a query (dim 2) sees a key (dim 3); None where all do.
        window: first and last (exclusive) position of the window.
        keys: how many positions the queries may look at; they are the first ones of the sequence.
        mask_token_id: id of the mask token.
        first: position of the first query; keys before it come from a cache.

    Returns:
        Ids (batch, queries + w); position ids (batch or 1, queries + w); attention mask, bool (batch or 1, 1,
        queries + w, keys + w).
    """
    start, stop = window
    size, queries, device = stop - start, input_ids.shape[1], input_ids.device
    of_window = slice(start - first, stop - first)
    ids = torch.cat([input_ids, input_ids.new_full((len(input_ids), size), mask_token_id)], dim=1)
    positions = torch.cat([positions, positions[:, of_window]], dim=1)
    if visible is None:
        visible = torch.ones(1, 1, queries, keys, dtype=torch.bool, device=device)
    at_window = torch.arange(keys, device=device) == torch.arange(start, stop, device=device)[:, None]
    rows = torch.cat([visible, visible[:, :, of_window] & ~at_window], dim=2)
    # A shadow sees itself, so no row of the mask is empty: attention to nothing is NaN.
    itself = torch.eye(queries + size, dtype=torch.bool, device=device)[:, queries:]
    return ids, positions, torch.cat([rows, itself.expand(*rows.shape[:2], -1, -1)], dim=3)
