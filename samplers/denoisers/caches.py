"""The KV cache of one generation, written in place, so that a step runs only the positions that may have changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
        self._places: Tensor | None = None

    def expose(self, start: int, visible: int, passing: int = 0) -> None:
        """The next forward pass writes from `start` on and sees the positions before `visible`.

        Its last `passing` positions are not part of the sequence: they are seen behind the others, and not kept.
        """
        self._start, self._visible, self._passing = start, visible, passing

    @contextmanager
    def exposed_at(self, places: Tensor, visible: int, passing: int = 0) -> Iterator[None]:
        """Meanwhile a pass writes to positions that a tensor names, so that one captured pass serves all positions.

        Args:
            places: (fresh,), long; where the keys of the pass go but for the last `passing`.
            visible: as of `expose`; the positions among them that are not to be seen are for a mask to hide.
            passing: as of `expose`.
        """
        before = self._start, self._visible, self._passing
        self._visible, self._passing, self._places = visible, passing, places
        try:
            yield
        finally:
            (self._start, self._visible, self._passing), self._places = before, None

    def clear(self) -> None:
        """Make all keys and values zero."""
        for pair in self._layers:
            for tensor in pair:
                tensor.zero_()

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *unused: Any, **also_unused: Any
    ) -> tuple[Tensor, Tensor]:
        """Write one layer's fresh keys and values, each (batch, heads, fresh, head size); returns all visible ones."""
        fresh = key_states.shape[2] - self._passing
        if layer_idx == len(self._layers):
            self._add_layer(key_states, value_states)
        keys, values = self._layers[layer_idx]
        if self._places is not None:
            keys.index_copy_(2, self._places, key_states[:, :, :fresh])
            values.index_copy_(2, self._places, value_states[:, :, :fresh])
        else:
            keys[:, :, self._start : self._start + fresh] = key_states[:, :, :fresh]
            values[:, :, self._start : self._start + fresh] = value_states[:, :, :fresh]
            if fresh == self._visible:
                return key_states, value_states
        keys, values = keys[:, :, : self._visible], values[:, :, : self._visible]
        if self._passing:
            keys = torch.cat([keys, key_states[:, :, fresh:]], dim=2)
            values = torch.cat([values, value_states[:, :, fresh:]], dim=2)
        return keys, values

    @torch.compiler.disable
    def _add_layer(self, *states: Tensor) -> None:
        # The buffer may serve another generation, which is not in inference mode.
        with torch.inference_mode(False):
            keys, values = (one.new_zeros(*one.shape[:2], self.length, one.shape[3]) for one in states)
        self._layers.append((keys, values))

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """How many positions come before those of the next forward pass."""
        return self._start

    def get_query_offset(self, layer_idx: int = 0) -> int:
        """The same, by the name that masks ask for."""
        return self._start

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        """Number of visible keys, and the index of the first."""
        return self._visible + self._passing, 0

    def states(self, rows: Tensor, start: int, stop: int) -> KeptKeys:
        """The buffer for one forward pass over several states of its rows, which leaves it as it is.

        Args:
            rows: (states,), long: the row that each is a state of.
            start, stop: the pass computes the keys from `start` to `stop` (exclusive); the others, up to where `expose`
                let the last one look, are those of the rows.
        """
        return KeptKeys(self._layers, rows, start, stop, self._visible)


class KeptKeys:
    """Keys and values of the rows of a buffer, around those that one forward pass computes for states of them.

    Args:
        layers: keys and values, each (batch, heads, length, head size), layer by layer.
        rows: (states,), long.
        start, stop: first and last (exclusive) position that is computed.
        visible: positions that may be looked at.
    """

    is_compileable = False

    def __init__(self, layers: list[tuple[Tensor, Tensor]], rows: Tensor, start: int, stop: int, visible: int) -> None:
        self._layers, self._rows = layers, rows
        self._start, self._stop, self._visible = start, stop, visible

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *unused: Any, **also_unused: Any
    ) -> tuple[Tensor, Tensor]:
        """All visible keys and values of one layer, each (states, heads, visible, head size)."""
        keys, values = self._layers[layer_idx]
        return self._around(keys, key_states), self._around(values, value_states)

    def _around(self, kept: Tensor, fresh: Tensor) -> Tensor:
        parts = [kept[:, :, : self._start], kept[:, :, self._stop : self._visible]]
        if len(kept) == 1:
            before, behind = (part.expand(len(self._rows), -1, -1, -1) for part in parts)
        else:
            before, behind = (part.index_select(0, self._rows.to(part.device)) for part in parts)
        return torch.cat([before, fresh, behind], dim=2)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """As `KeyValueBuffer.get_seq_length`."""
        return self._start

    def get_query_offset(self, layer_idx: int = 0) -> int:
        """The same, by the name that masks ask for."""
        return self._start

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        """Number of visible keys, and the index of the first."""
        return self._visible, 0
