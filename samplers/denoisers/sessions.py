"""Decoding with a KV cache: exactly where attention allows it, approximately on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..models.attentions import grouped
from ..models.masks import token_positions, visible_keys
from ..schedulers.views import ModelView
from .caches import KeyValueBuffer
from .graphs import graphs_of, wide
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
        "causal_context": what is before a block sees only what is before it; the first step in a block runs the block
            before it once more, as of then causally.
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
        ValueError: the cache is unknown, or would run a part of a block whose tokens choose their experts together.
    """

    def __init__(self, model: Any, request: SessionRequest) -> None:
        if request.cache not in CACHES:
            raise ValueError(f"cache is {request.cache!r}; it should be None, 'prefix' or 'dual'")
        capacity = getattr(model, "expert_capacity", None)
        if capacity is not None and request.cache == "dual":
            raise ValueError(
                f"cache='dual' would run parts of blocks, but the tokens of a block choose its {capacity} experts "
                "together; leave it None, which is exact"
            )
        self._model, self._request = model, request
        mask = request.attention_mask
        self._real = None if mask is None else mask.bool()
        self._paddings = [0] if self._real is None else self._real.long().argmax(dim=1).tolist()
        self._buffer: KeyValueBuffer | None = None
        self._graphs = graphs_of(model, request.compile)
        self._masks: dict[tuple[int, ...], Tensor | None] = {}
        self._layers = request.wants.layers(model.num_layers) if request.wants.attentions else ()
        # Keys of the positions before this one are final and in the buffer.
        self._kept = 0
        # Number and raw logits of the row before `_kept`, which a shifted model needs for the first token after it.
        self._row_before: tuple[int, Tensor | None] = (-1, None)
        # Models that see no further than their block have an exact prefix already.
        self._looks_ahead = model.attention not in ("block_causal", "causal_context")
        self._approximate = request.cache == "dual" or (request.cache == "prefix" and self._looks_ahead)
        # Rows whose blocks lie on different grids share no position between two blocks of each.
        one_grid = model.block_length is None or len({padding % model.block_length for padding in self._paddings}) == 1
        self._cuts_blocks = capacity is not None and not one_grid
        self._fresh_block = True

    def look(self, sequences: Tensor, start: int, stop: int) -> ModelView:
        """As `DecodingSession.look`; one forward pass over the positions that are not kept."""
        length, shift = sequences.shape[1], self._model.shift
        reach = self._reach(stop, length)
        row = max(start - shift, 0)
        first, last = self._queries(start, stop, row, reach)
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

    def look_at_states(self, sequences: Tensor, rows: Tensor, start: int, stop: int) -> ModelView:
        """As `DraftingSession.look_at_states`; the kept keys are those of the last `look`, and stay."""
        assert self._buffer is not None
        shift, reach = self._model.shift, self._reach(stop, sequences.shape[1])
        row = max(start - shift, 0)
        first, last = self._queries(start, stop, row, reach)
        wanted = max(row, first)
        prompt_length = self._prompt_length(start)
        mask = self._mask(first, last, reach, prompt_length, sequences.device)
        positions = self._positions[:, first:last]
        output = self._model(
            sequences[:, first:last],
            attention_mask=mask if mask is None or len(mask) == 1 else mask.index_select(0, rows),
            position_ids=positions if len(positions) == 1 else positions.index_select(0, rows),
            past_key_values=self._buffer.states(rows, first, last),
            logits_to_keep=torch.arange(wanted - first, stop - shift - first, device=sequences.device),
            aligned=False,
            **self._of_prompt(prompt_length),
        )
        logits: Tensor = output.logits
        if row < first:
            assert self._row_before[1] is not None
            logits = torch.cat([self._row_before[1].index_select(0, rows), logits], dim=1)
        # Row 0 of a shifted model is all there is for token 0.
        return ModelView(logits if start >= shift else torch.cat([logits[:, :1], logits], dim=1))

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
            self._buffer = self._new_buffer(*sequences.shape)
            self._columns = torch.arange(sequences.shape[1], device=sequences.device)
            self._positions = self._columns[None] if self._real is None else token_positions(self._real)
        ids, positions = sequences[:, first:last], self._positions[:, first:last]
        prompt_length = self._prompt_length(window[0])
        mask = self._mask(first, last, visible, prompt_length, sequences.device)
        keep = torch.arange(rows[0] - first, rows[1] - first, device=sequences.device)
        more = self._of_prompt(prompt_length)
        if self._layers:
            more |= {"attention_layers": self._layers, "attention_window": window}
        shadows = window[1] - window[0] if self._request.wants.shadow_logits else 0
        if shadows:
            keep = torch.cat([keep, torch.arange(last - first, last - first + shadows, device=keep.device)])
        self._buffer.expose(first, visible, passing=shadows)
        attentions: list[Tensor | None] = []

        def eagerly() -> Tensor:
            seen = self._with_shadows((ids, positions, mask), window, visible, first)
            output = self._call(*seen, keep, more)
            attentions.append(output.attentions)
            logits: Tensor = output.logits
            return logits

        if self._graphs is None or self._layers:
            logits = eagerly()
        else:
            logits = self._captured(queries, visible, (ids, positions, keep), window, eagerly)
        wanted = rows[1] - rows[0]
        return logits[:, :wanted], logits[:, wanted:] if shadows else None, attentions[0] if attentions else None

    def _call(self, ids: Tensor, positions: Tensor, mask: Tensor | None, keep: Tensor, more: dict[str, Any]) -> Any:
        """The model's output for the tokens whose keys go to the buffer."""
        return self._model(
            ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self._buffer,
            logits_to_keep=keep,
            aligned=False,
            **more,
        )

    def _with_shadows(
        self, seen: tuple[Tensor, Tensor, Tensor | None], window: tuple[int, int], keys: int, first: int
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Ids, positions and mask, and with them those of the shadow tokens of the window, where they are wanted."""
        if not self._request.wants.shadow_logits:
            return seen
        assert self._request.mask_token_id is not None
        return with_shadows(*seen, window, keys=keys, mask_token_id=self._request.mask_token_id, first=first)

    def _captured(
        self,
        queries: tuple[int, int],
        visible: int,
        inputs: tuple[Tensor, Tensor, Tensor],
        window: tuple[int, int],
        eagerly: Callable[[], Tensor],
    ) -> Tensor:
        """As `eagerly`, from a captured pass where there is one: its keys lie at places that a tensor names.

        Such a pass sees a stretch of the buffer whose length is one of few, and a mask hides what `visible` leaves out.
        """
        assert self._graphs is not None
        assert self._buffer is not None
        buffer, (first, last), (ids, positions, keep) = self._buffer, queries, inputs
        keys = min(wide(visible), buffer.length)
        prompt_length = self._prompt_length(window[0])
        mask = self._wide_mask(first, last, visible, prompt_length, keys, ids.device)
        ids, positions, seen = self._with_shadows((ids, positions, mask), window, keys, first)
        assert seen is not None
        passing = ids.shape[1] - (last - first)

        def call(given: Mapping[str, Tensor]) -> Tensor:
            with buffer.exposed_at(given["places"], keys, passing), grouped(self._model.model.config):
                logits: Tensor = self._call(given["ids"], given["positions"], given["mask"], given["keep"], {}).logits
                return logits

        return self._graphs.run(
            ("kept", keys, passing),
            {"ids": ids, "positions": positions, "mask": seen, "keep": keep, "places": self._columns[first:last]},
            call,
            eagerly,
            at_once=self._request.compile == "graphs",
            buffer=buffer,
        )

    def _new_buffer(self, batch: int, length: int) -> KeyValueBuffer:
        """Room for the keys; where passes are captured one that outlives this generation, as long as there are any."""
        lent = None if self._graphs is None else self._graphs.lend(batch, length, self)
        if lent is None:
            self._graphs = None
            return KeyValueBuffer(length)
        return lent

    def _queries(self, start: int, stop: int, row: int, reach: int) -> tuple[int, int]:
        """First and last-plus-one position of a pass for a window, whose logits begin at `row`, up to `reach`."""
        first, last = self._kept, reach
        # The first look at a block computes all that is approximate anew; what comes later goes by it.
        if self._approximate and not self._fresh_block:
            first = max(first, start)
            if self._request.cache == "dual":
                last = stop
        return (row if row < first and row != self._row_before[0] else first), last

    def _prompt_length(self, start: int) -> int:
        """Columns that see themselves alone, where a window from `start` on is looked at."""
        return start if self._model.attention == "causal_context" else self._request.prompt_length

    def _of_prompt(self, prompt_length: int) -> dict[str, Any]:
        """What a pass is told of the prompt."""
        told = self._model.attention in ("prompt_first", "causal_context")
        return {"prompt_length": prompt_length} if told else {}

    def _mask(self, first: int, last: int, visible: int, prompt_length: int, device: torch.device) -> Tensor | None:
        key = (first, last, visible, prompt_length)
        if key not in self._masks:
            if len(self._masks) > 8:
                self._masks.clear()
            self._masks[key] = visible_keys(
                self._model.attention,
                queries=(first, last),
                keys=visible,
                real=self._real,
                block_length=self._model.block_length,
                prompt_length=prompt_length,
                device=device,
            )
        return self._masks[key]

    def _wide_mask(
        self, first: int, last: int, visible: int, prompt_length: int, keys: int, device: torch.device
    ) -> Tensor:
        """As `_mask`, for so many keys; those from `visible` on are hidden."""
        key = (first, last, visible, prompt_length, keys)
        found = self._masks.get(key)
        if found is None:
            mask = self._mask(first, last, visible, prompt_length, device)
            if mask is None:
                mask = torch.ones(1, 1, last - first, visible, dtype=torch.bool, device=device)
            found = self._masks[key] = functional.pad(mask, (0, keys - visible), value=False)
        return found

    def _reach(self, stop: int, length: int) -> int:
        """The end of what positions before `stop` may look at."""
        if self._looks_ahead:
            return length
        if self._model.attention == "causal_context":
            return stop
        block: int = self._model.block_length
        return min(length, max(stop + (padding - stop) % block for padding in self._paddings))

    def _final_until(self, start: int) -> int:
        """Keys before this position do not change any more once a pass with the tokens before `start` has been run."""
        if self._model.attention == "full" or self._cuts_blocks:
            return 0
        final = self._request.prompt_length if self._request.revises_blocks else start
        if self._model.attention == "prompt_first":
            return self._request.prompt_length
        if self._model.attention == "causal_context":
            return final
        block: int = self._model.block_length
        return min(final - (final - padding) % block for padding in self._paddings)
