"""Which positions may be committed together: dependence read off attention, and sets without any."""

from __future__ import annotations

import torch
from torch import Tensor

from .views import ModelView

#: Rounds of `independent_set`. Each takes at least one position of a row in which any is undecided; in practice a few
#: do for a window of any length.
ROUNDS = 48


def mean_attention(view: ModelView, reader: str) -> Tensor:
    """What each position of the window (dim 1) looks at (dim 2), the mean over the wanted layers, without itself.

    Args:
        view: a look at the model.
        reader: the name of the scheduler that wants it.

    Returns:
        (batch, window, window), float32, at least 0; the diagonal is 0.

    Raises:
        ValueError: the view has no attentions.
    """
    attentions = view.attentions
    if attentions is None:
        raise ValueError(
            f"{reader} reads attentions: step() needs a ModelView that has them, which generate() provides"
        )
    itself = torch.eye(attentions.shape[-1], dtype=torch.bool, device=attentions.device)
    return attentions.float().mean(dim=1).masked_fill(itself, 0)


def independent_set(order: Tensor, candidates: Tensor, conflicts: Tensor) -> Tensor:
    """Go through the candidates of each row in an order, and take each that conflicts with none taken before it.

    All rows and positions are worked on at once: in each of a fixed number of rounds those are taken whose earlier
    rivals have all been turned down. What is undecided in the end, behind a chain of more than `ROUNDS` rivals, is not
    taken; the set is then smaller than it might be, and no less independent.

    Args:
        order: (batch, window), long: the rank of each position, lowest first; no two of a row have the same.
        candidates: bool (batch, window).
        conflicts: bool (batch, window, window): whether a position (dim 1) must not go with one taken before (dim 2).

    Returns:
        bool (batch, window).
    """
    earlier = order.unsqueeze(1) < order.unsqueeze(2)
    rivals = (conflicts & earlier & candidates.unsqueeze(1)).float()
    taken, undecided = torch.zeros_like(candidates), candidates
    for _ in range(ROUNDS):
        waits_for = torch.bmm(rivals, (taken | undecided).float().unsqueeze(2)).squeeze(2)
        taken = taken | (undecided & (waits_for == 0))
        refused = torch.bmm(rivals, taken.float().unsqueeze(2)).squeeze(2) > 0
        undecided = undecided & ~taken & ~refused
    return taken
