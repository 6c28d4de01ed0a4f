"""The KV cache of one generation, written in place, so that a step runs only the positions that may have changed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class KeyValueBuffer:
    """Room for the keys and values of whole sequences, one pair of tensors per layer.

    Before each forward pass `expose` says where its keys go and how far its queries may look; positions that are
    written again replace what stood there. This one mechanism is the exact cache of block-causal models (each step
    overwrites the unfinished block), the encoded prompt of prompt-first models, and the prefix and dual caches of
    Fast-dLLM (arXiv 2505.22618), which leave stale keys standing.

    Transformers' attention calls `update`; a model that builds its own mask calls the other methods.

    Args:
        length: positions per sequence.
    """

    is_compileable = False

    def __init__(self, length: int) -> None:
        self.length = length
        self._layers: list[tuple[Tensor, Tensor]] = []
        self._start, self._visible, self._passing = 0, length, 0

    def expose(self, start: int, visible: int, passing: int = 0) -> None:
        """The next forward pass writes from `start` on and sees the positions before `visible`.

        Its last `passing` positions are not part of the sequence: they are seen behind the others, and not kept.
        """
        self._start, self._visible, self._passing = start, visible, passing

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *unused: Any, **also_unused: Any
    ) -> tuple[Tensor, Tensor]:
        """Write one layer's fresh keys and values, each (batch, heads, fresh, head size); returns all visible ones."""
        fresh = key_states.shape[2] - self._passing
        if layer_idx == len(self._layers):
            batch, heads, _, size = key_states.shape
            value_size = value_states.shape[3]
            self._layers.append(
                (
                    key_states.new_zeros(batch, heads, self.length, size),
                    value_states.new_zeros(batch, heads, self.length, value_size),
                )
            )
        keys, values = self._layers[layer_idx]
        keys[:, :, self._start : self._start + fresh] = key_states[:, :, :fresh]
        values[:, :, self._start : self._start + fresh] = value_states[:, :, :fresh]
        if fresh == self._visible:
            return key_states, value_states
        keys, values = keys[:, :, : self._visible], values[:, :, : self._visible]
        if self._passing:
            keys = torch.cat([keys, key_states[:, :, fresh:]], dim=2)
            values = torch.cat([values, value_states[:, :, fresh:]], dim=2)
        return keys, values

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """How many positions come before those of the next forward pass."""
        return self._start

    def get_query_offset(self, layer_idx: int = 0) -> int:
        """The same, by the name that masks ask for."""
        return self._start

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        """Number of visible keys, and the index of the first."""
        return self._visible + self._passing, 0
