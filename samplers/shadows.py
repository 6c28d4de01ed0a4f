"""Shadow tokens: what a model predicts at a position if it sees the whole sequence but the token there."""

from __future__ import annotations

import torch
from torch import Tensor


def shadow_inputs(
    input_ids: Tensor, attention_mask: Tensor | None, start: int, stop: int, mask_token_id: int
) -> tuple[Tensor, Tensor, Tensor]:
    """What a model with bidirectional attention is given to predict a window twice in one forward pass.

    A mask token is appended for each position of the window. It has that position's id, sees every token of the
    sequence but the one at that position, and of the shadows itself alone; nothing else sees a shadow (WINO,
    arXiv 2507.18578, figure 2; there the shadows of a block see each other).

    Args:
        input_ids: (batch, length), long.
        attention_mask: (batch, length), 1 for tokens and 0 for padding on the left; None where nothing is padded.
        start, stop: the window, of w = stop - start positions.
        mask_token_id: id of the mask token.

    Returns:
        Ids (batch, length + w); attention mask, bool (batch, 1, length + w, length + w), True where a query (dim 2)
        sees a key (dim 3); position ids (batch, length + w).
    """
    batch, length = input_ids.shape
    window, device = stop - start, input_ids.device
    ids = torch.cat([input_ids, input_ids.new_full((batch, window), mask_token_id)], dim=1)
    real = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
    positions = (real.long().cumsum(dim=1) - 1).clamp(min=0)
    positions = torch.cat([positions, positions[:, start:stop]], dim=1)

    own = torch.eye(length + window, dtype=torch.bool, device=device)
    key = torch.arange(length + window, device=device)
    hidden = (key[:length] - start == key[:window].unsqueeze(1)).expand(batch, -1, -1)
    rows = torch.cat([real.unsqueeze(1).expand(-1, length, -1), real.unsqueeze(1) & ~hidden], dim=1)
    sees = torch.nn.functional.pad(rows, (0, window))
    # Every query sees itself: padding too, because attention to nothing is NaN.
    return ids, (sees | own).unsqueeze(1), positions
