"""Block routing of LLaDA2.2: the tokens of a block choose among few experts, which they choose together.

Read: `models/llada2.py` of the package sglang 0.5.23. An expert's score for a block is the largest that one of its
tokens gives it, sigmoid and bias; the `capacity` best are open to the block (of equals the first), and each token
takes its own best k of those. Groups of experts play no part in it. Its two kernels, run once in triton's interpreter
for four sizes (16 to 256 experts), chose the same experts, with weights within 2e-7.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Number of each token's block, (batch or 1, length), -1 for padding, and how many blocks a row has at most; threads
#: that share a model have one each.
_BLOCKS: ContextVar[tuple[Tensor, int]] = ContextVar("blocks of the tokens")


@contextmanager
def routing_within(position_ids: Tensor, real: Tensor | None, block_length: int) -> Iterator[None]:
    """Tell the routers, for one forward pass, which tokens belong together.

    Args:
        position_ids: (batch or 1, length), long; every token of a block that is touched has to be there.
        real: (batch or 1, length), bool, False for padding; None where there is none.
        block_length: tokens of a block.
    """
    blocks = position_ids // block_length
    if real is not None:
        blocks = torch.where(real, blocks, -1)
    token = _BLOCKS.set((blocks, blocks.shape[1] // block_length + 2))
    try:
        yield
    finally:
        _BLOCKS.reset(token)


def real_tokens(mask: Tensor | None, past: int, length: int) -> Tensor | None:
    """Which of a pass's own tokens are no padding, (batch or 1, length): those that see themselves.

    Args:
        mask: finished, (batch or 1, 1, length, keys), bool; None where every token sees every other.
        past: keys before those of the pass.
        length: tokens of the pass.
    """
    return None if mask is None else mask[:, 0, :, past : past + length].diagonal(dim1=1, dim2=2)


class BlockRouter(nn.Module):
    """Takes the place of a router of transformers' GLM-4-MoE, and has its parameters.

    Args:
        router: the one whose place it takes; lies on the meta device.
        capacity: experts that are open to a block.
    """

    def __init__(self, router: Any, capacity: int) -> None:
        super().__init__()
        self.weight = router.weight
        self.e_score_correction_bias = router.e_score_correction_bias
        self.capacity = capacity
        self.top_k: int = router.top_k
        self.routed_scaling_factor: float = router.routed_scaling_factor

    def forward(self, hidden_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Router logits (tokens, experts), weights and indices of the chosen experts (tokens, k), float32 and long.

        Args:
            hidden_states: (batch, length, width).
        """
        batch, length, _ = hidden_states.shape
        logits = functional.linear(hidden_states.float(), self.weight.float())
        scores = logits.sigmoid()
        choice = scores + self.e_score_correction_bias
        blocks, count = _BLOCKS.get()
        blocks = blocks.to(logits.device).expand(batch, length)
        # Each token's row in the table of all blocks' scores, counted from the pass's first block; row 0 is padding's.
        first = torch.where(blocks < 0, torch.iinfo(blocks.dtype).max, blocks).amin(dim=1, keepdim=True)
        rows = torch.where(blocks < 0, 0, blocks - first + 1)
        places = rows[..., None].expand_as(choice)
        best = choice.new_full((batch, count + 1, choice.shape[2]), -torch.inf)
        best = best.scatter_reduce(1, places, choice, "amax")
        order = best.sort(dim=-1, descending=True, stable=True).indices[..., : self.capacity]
        closed = torch.ones_like(best, dtype=torch.bool).scatter(-1, order, False)
        choice = choice.masked_fill(closed.gather(1, places), -torch.inf)
        chosen = choice.topk(self.top_k, dim=-1, sorted=False).indices
        weights = scores.gather(-1, chosen)
        if self.top_k > 1:
            weights = weights / (weights.sum(dim=-1, keepdim=True) + 1e-20)
        weights = weights * self.routed_scaling_factor
        return logits.reshape(batch * length, -1), weights.flatten(0, 1), chosen.flatten(0, 1)


def route_by_blocks(decoder: Any, capacity: int) -> None:
    """Give every layer with experts a `BlockRouter`.

    Args:
        decoder: transformers' GLM-4-MoE on the meta device.
        capacity: as `BlockRouter`'s.
    """
    for layer in decoder.layers:
        if hasattr(layer.mlp, "experts"):
            layer.mlp.gate = BlockRouter(layer.mlp.gate, capacity)
