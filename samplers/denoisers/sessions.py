"""Decoding with a KV cache: exactly where attention allows it, approximately on request."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..models.masks import token_positions, visible_keys
from ..schedulers.views import ModelView
from .caches import KeyValueBuffer
from .interface import SessionRequest
from .shadows import with_shadows

#: Approximate caches by name.
CACHES = (None, "prefix", "dual")


class CachedSession:
    """One generation with a `DiffusionLanguageModel`; a step runs only the positions whose keys are not kept.

    Exact, whatever the request says:
        "block_causal": a finished block sees only itself and what is before it, so its keys never change. The first
            step in a block runs the block before it once more, with its final tokens: no forward pass of its own.
        "prompt_first": the prompt never sees the answer; its keys come from the first step.
    Approximate, where `request.cache` asks for it (Fast-dLLM, arXiv 2505.22618, section 3.2); the first step in every
    block is a full one and exact:
        "prefix": keys before the block stay as the first step left them, those from the block on are fresh.
        "dual": the keys behind the block stay as well, and a step runs the block alone.
    The keys before a block are exact in block-causal models, where "prefix" changes nothing and "dual" pays off for
    blocks shorter than the model's own (the sub-blocks of Fast-dLLM v2, arXiv 2509.26328).

    Args:
        model: the network.
        request: what is known of the generation.

    Raises:
        ValueError: the cache is unknown.
    """

    def __init__(self, model: Any, request: SessionRequest) -> None:
        if request.cache not in CACHES:
            raise ValueError(f"cache is {request.cache!r}; it should be None, 'prefix' or 'dual'")
        self._model, self._request = model, request
        mask = request.attention_mask
        self._real = None if mask is None else mask.bool()
        self._paddings = [0] if self._real is None else self._real.long().argmax(dim=1).tolist()
        self._buffer: KeyValueBuffer | None = None
        self._masks: dict[tuple[int, int, int], Tensor | None] = {}
        self._layers = request.wants.layers(model.num_layers) if request.wants.attentions else ()
        # Keys of the positions before this one are final and in the buffer.
        self._kept = 0
        # Number and raw logits of the row before `_kept`, which a shifted model needs for the first token after it.
        self._row_before: tuple[int, Tensor | None] = (-1, None)
        # Block-causal models have an exact prefix already.
        self._approximate = request.cache == "dual" or (request.cache == "prefix" and model.attention != "block_causal")
        self._fresh_block = True

    def look(self, sequences: Tensor, start: int, stop: int) -> ModelView:
        """As `DecodingSession.look`; one forward pass over the positions that are not kept."""
        length, shift = sequences.shape[1], self._model.shift
        reach = self._reach(stop, length)
        first, last = self._kept, reach
        if self._approximate and not self._fresh_block:
            first = max(first, start)
            if self._request.cache == "dual":
                last = stop
        row = max(start - shift, 0)
        if row < first and row != self._row_before[0]:
            first = row
        kept = max(self._kept, self._final_until(start))
        wanted = row
        if shift and first < kept <= row:
            # The row before the kept positions is computed now or never.
            wanted = kept - 1
        logits, shadow_logits, attentions = self._pass(
            sequences, (first, last), reach, (max(wanted, first), stop - shift), (start, stop)
        )
        if row < first:
            assert self._row_before[1] is not None
            logits = torch.cat([self._row_before[1], logits], dim=1)
            wanted = row
        if shift and kept > wanted:
            self._row_before = kept - 1, logits[:, kept - 1 - wanted : kept - wanted].clone()
        self._kept, self._fresh_block = kept, False
        logits = logits[:, row - wanted :]
        # Row 0 of a shifted model is all there is for token 0.
        logits = logits if start >= shift else torch.cat([logits[:, :1], logits], dim=1)
        return ModelView(logits, shadow_logits, attentions)

    def end_block(self, sequences: Tensor, start: int, stop: int) -> None:
        """What is approximate starts over with the next block; what is exact needs no telling."""
        self._fresh_block = True

    def forget(self) -> None:
        """Anything may have changed: keep nothing."""
        self._kept, self._fresh_block, self._row_before = 0, True, (-1, None)

    def _pass(
        self, sequences: Tensor, queries: tuple[int, int], visible: int, rows: tuple[int, int], window: tuple[int, int]
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """One forward pass over the positions `queries`, which look at those before `visible`.

        Returns:
            Raw logits of the positions `rows`, and of the window the logits at shadow tokens and the attentions, where
            they are wanted.
        """
        first, last = queries
        if self._buffer is None:
            self._buffer = KeyValueBuffer(sequences.shape[1])
            columns = torch.arange(sequences.shape[1], device=sequences.device)[None]
            self._positions = columns if self._real is None else token_positions(self._real)
        ids, positions = sequences[:, first:last], self._positions[:, first:last]
        mask = self._mask(first, last, visible, sequences.device)
        keep = torch.arange(rows[0] - first, rows[1] - first, device=sequences.device)
        more: dict[str, Any] = {}
        if self._model.attention == "prompt_first":
            more["prompt_length"] = self._request.prompt_length
        if self._layers:
            more |= {"attention_layers": self._layers, "attention_window": window}
        shadows = 0
        if self._request.wants.shadow_logits:
            assert self._request.mask_token_id is not None
            shadows = window[1] - window[0]
            keep = torch.cat([keep, torch.arange(last - first, last - first + shadows, device=keep.device)])
            ids, positions, mask = with_shadows(
                ids, positions, mask, window, keys=visible, mask_token_id=self._request.mask_token_id, first=first
            )
        self._buffer.expose(first, visible, passing=shadows)
        output = self._model(
            ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self._buffer,
            logits_to_keep=keep,
            aligned=False,
            **more,
        )
        logits, wanted = output.logits, rows[1] - rows[0]
        return logits[:, :wanted], logits[:, wanted:] if shadows else None, output.attentions

    def _mask(self, first: int, last: int, visible: int, device: torch.device) -> Tensor | None:
        key = (first, last, visible)
        if key not in self._masks:
            if len(self._masks) > 8:
                self._masks.clear()
            self._masks[key] = visible_keys(
                self._model.attention,
                queries=(first, last),
                keys=visible,
                real=self._real,
                block_length=self._model.block_length,
                prompt_length=self._request.prompt_length,
                device=device,
            )
        return self._masks[key]

    def _reach(self, stop: int, length: int) -> int:
        """The end of what positions before `stop` may look at."""
        if self._model.attention != "block_causal":
            return length
        block: int = self._model.block_length
        return min(length, max(stop + (padding - stop) % block for padding in self._paddings))

    def _final_until(self, start: int) -> int:
        """Keys before this position do not change any more once a pass with the tokens before `start` has been run."""
        if self._model.attention == "full":
            return 0
        final = self._request.prompt_length if self._request.revises_blocks else start
        if self._model.attention == "prompt_first":
            return self._request.prompt_length
        block: int = self._model.block_length
        return min(final - (final - padding) % block for padding in self._paddings)
