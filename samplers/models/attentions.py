"""Attention beside transformers' own: one that notes the weights of chosen layers, and one that repeats no keys."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

#: Names of the attentions below among those of transformers.
_NAME = "samplers_recorded"
_GROUPED = "samplers_grouped"


class AttentionRecorder:
    """Notes the weights between some queries and some keys of the layers that are told to; the mean over the heads.

    A fused kernel never forms the weights, so they are worked out beside it, for the queries that are wanted alone.
    What the layer computes does not change by a bit.

    Args:
        queries: of the forward pass.
        keys: among those that the queries see, the ones of a cache included.
    """

    def __init__(self, queries: slice, keys: slice) -> None:
        self._queries, self._keys = queries, keys
        self._weights: dict[int, Tensor] = {}

    @contextmanager
    def recording(self, layers: Any, wanted: Sequence[int]) -> Iterator[None]:
        """While this is open, the layers with the numbers `wanted` hand their queries and keys over.

        The decoder has to be called with `attention_recorder=` this recorder: transformers passes it on to the layers.
        """
        from transformers import AttentionInterface

        AttentionInterface.register(_NAME, _recorded_attention)
        modules = [layers[number].self_attn for number in wanted]
        before = [module.config for module in modules]
        for module in modules:
            module.config = copy.copy(module.config)
            module.config._attn_implementation = _NAME
        try:
            yield
        finally:
            for module, config in zip(modules, before, strict=True):
                module.config = config

    def note(self, layer: int, query: Tensor, key: Tensor, mask: Tensor | None, scaling: float) -> None:
        """Take the queries (batch, heads, queries, size) and keys (batch, key heads, keys, size) of a layer.

        `mask`, (batch or 1, 1, queries, keys), is True where a query sees a key, or is added to the scores.
        """
        batch, heads, _, size = query.shape
        wanted = query[:, :, self._queries].float()
        grouped = wanted.reshape(batch, key.shape[1], -1, size)
        scores = (grouped @ key.float().transpose(2, 3)).reshape(batch, heads, -1, key.shape[2]) * scaling
        if mask is not None:
            mask = mask[:, :, self._queries]
            scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
        self._weights[layer] = scores.softmax(dim=-1)[..., self._keys].mean(dim=1)

    def weights(self, device: torch.device) -> Tensor:
        """(batch, layers, queries, keys), float32, in the order of the layers."""
        return torch.stack([self._weights[layer].to(device) for layer in sorted(self._weights)], dim=1)


@torch.compiler.disable
def _recorded_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    attention_recorder: AttentionRecorder,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers' fused one has it, which shows the recorder what it sees."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    attention_recorder.note(module.layer_idx, query, key, attention_mask, scaling)
    output: tuple[Tensor, None] = sdpa_attention_forward(
        module, query, key, value, attention_mask, scaling=scaling, **options
    )
    return output


@contextmanager
def grouped(config: Any) -> Iterator[None]:
    """While this is open, the fused attention of a decoder repeats no keys where several heads share them.

    With a mask, transformers' repeats keys and values for every head, which for many kept keys takes longer than the
    attention itself. Here the queries of the heads that share keys stand below each other, as more queries of one head.

    Args:
        config: of the decoder; left as it was.
    """
    from transformers import AttentionInterface

    before = config._attn_implementation
    if before != "sdpa":
        yield
        return
    AttentionInterface.register(_GROUPED, _grouped_attention)
    config._attn_implementation = _GROUPED
    try:
        yield
    finally:
        config._attn_implementation = before


def _grouped_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    **options: Any,
) -> tuple[Tensor, None]:
    """(batch, queries, heads, head size), as transformers' fused attention has it; options of training are not read."""
    batch, heads, queries, _ = query.shape
    shared = heads // key.shape[1]
    if attention_mask is not None and shared > 1:
        attention_mask = attention_mask.repeat(1, 1, shared, 1)
    output = torch.nn.functional.scaled_dot_product_attention(
        query.reshape(batch, key.shape[1], shared * queries, -1), key, value, attn_mask=attention_mask, scale=scaling
    )
    return output.reshape(batch, heads, queries, -1).transpose(1, 2).contiguous(), None
