"""Reads states: partly decoded answers, each behind one of some prompts, any number of them in any order."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..loop.layout import Layout, grid_layout, plain_layout
from ..models.masks import token_positions, visible_keys
from ..models.unwrapping import unwrapped
from ..schedulers.proposals import RECORDED, Proposal, RecordedProposal
from .adapters import ModelDenoiser, denoiser_for
from .sending import sent

# Below a few rows a matrix product takes another way through its library, and rounds otherwise.
_LEAST_ROWS = 16
#: Kinds of attention in which what is visible follows from the positions alone.
_READ = ("full", "prompt_first", "block_causal")


class StateReader:
    """What greedy methods read of a model, as a function of prompt and partly decoded answer alone.

    A state's record does not depend on the states beside it (on a CPU not by a bit, as far as its matrix products do
    not; on the other prompts it depends through their padding alone). The output layer runs on masked positions only,
    where the model allows it. Prompts of a model whose prompt never sees the answer are run once, and their keys and
    values kept.

    Args:
        model: as for `generate`.
        input_ids: (prompts, length), long, padded on the left.
        attention_mask: (prompts, length), 1 for tokens and 0 for padding; None where nothing is padded.
        max_new_tokens: length of every answer.
        mask_token_id: the mask token.

    Raises:
        ValueError: `reads` is false of the model.
    """

    def __init__(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        *,
        max_new_tokens: int,
        mask_token_id: int,
    ) -> None:
        if not self.reads(model):
            raise ValueError(
                f"{type(model).__name__} cannot be read state by state: what it says hangs on more than tokens"
            )
        self._denoiser: Any = denoiser_for(model)
        self._prompts, self._new, self._mask_token_id = input_ids, max_new_tokens, mask_token_id
        padded = attention_mask is not None and bool((attention_mask == 0).any())
        self._mask = attention_mask if padded else None
        self._kept: PromptKeys | None = None
        network: Any = getattr(self._denoiser, "model", None)
        if getattr(network, "has_kv_cache", False) and getattr(network, "attention", None) == "prompt_first":
            self._kept = PromptKeys(network, input_ids, self._mask, max_new_tokens)

    @staticmethod
    def reads(model: Any) -> bool:
        """Whether what this model says depends on the tokens that it is shown alone.

        Of a denoiser that has sessions of its own nobody knows what it keeps from one step to the next; where the
        context is causal it hangs on the block at hand too, and where tokens choose their experts together on others.
        """
        denoiser: Any = denoiser_for(model)
        if not isinstance(denoiser, ModelDenoiser):
            return not hasattr(denoiser, "session")
        bare = unwrapped(model)
        attention = getattr(bare, "attention", None)
        known = not isinstance(attention, str) or attention in _READ
        return known and getattr(bare, "expert_capacity", None) is None

    @torch.no_grad()
    def read(self, prompts: Tensor, answers: Tensor, length: int | None = None) -> RecordedProposal:
        """The records of some states, from one forward pass; on a GPU it may still be under way on return.

        Args:
            prompts: (states,), long, on the CPU: which prompt each state has.
            answers: (states, new), long, on the CPU, with at least one masked position each.
            length: columns of the prompts that the model is shown, the last ones; no prompt of these may be longer.
                None: all.

        Returns:
            Fields (states, new), on the model's device; 0 at positions that are not masked.
        """
        count, device = len(prompts), self._prompts.device
        # A batch of one is compiled anew on a GPU, and takes there as long as one of two.
        least = max(-(-_LEAST_ROWS // self._new), 1 if device.type == "cpu" else 2)
        if count < least:
            more = torch.arange(least) % count
            prompts, answers = prompts[more], answers[more]
        state, token = (answers[:count] == self._mask_token_id).nonzero().unbind(1)
        kept = len(state)
        if kept < _LEAST_ROWS:
            again = torch.arange(_LEAST_ROWS) % kept
            state, token = state[again], token[again]
        logits = self._logits(sent(prompts, device), sent(answers, device), state, token, length)
        record = Proposal(logits.unsqueeze(0), self._mask_token_id).record()
        place = (sent(state[:kept], device), sent(token[:kept], device))
        fields = {}
        for name in RECORDED:
            values = getattr(record, name)[0, :kept]
            fields[name] = values.new_zeros(count, self._new).index_put(place, values)
        return RecordedProposal(**fields, vocab_size=record.vocab_size)

    def _logits(self, prompts: Tensor, answers: Tensor, state: Tensor, token: Tensor, length: int | None) -> Tensor:
        """(kept, vocab): at each token of a state that is asked for."""
        if self._kept is not None:
            return self._kept.logits(prompts, answers, torch.stack([state, token]))
        layout = self._layout(prompts, answers, slice(None if length is None else -length, None))
        sequences = layout.for_model(layout.sequences)
        column = layout.start + token
        if layout.tails is not None:
            column = column + layout.tails[:, 0].to(state.device)[state]
        if isinstance(self._denoiser, ModelDenoiser):
            return self._denoiser.position_logits(sequences, layout.attention_mask, state, column)
        start, stop = int(column.min()), int(column.max()) + 1
        found: Tensor = self._denoiser.window_logits(sequences, layout.attention_mask, start, stop)
        return found[state.to(found.device), (column - start).to(found.device)]

    def _layout(self, prompts: Tensor, answers: Tensor, columns: slice) -> Layout:
        ids, mask = self._prompts[:, columns][prompts], None if self._mask is None else self._mask[:, columns][prompts]
        grid: int | None = getattr(self._denoiser, "grid_length", None)
        if grid is None:
            return plain_layout(ids, mask, answers, self._mask_token_id)
        return grid_layout(ids, mask, answers, self._mask_token_id, grid=grid, block_length=grid)


class PromptKeys:
    """Keys and values of prompts that never see their answers; answers are run behind any of them.

    Args:
        model: a `DiffusionLanguageModel` with "prompt_first" attention.
        input_ids, attention_mask: as for `StateReader`.
        new: tokens of an answer.
    """

    is_compileable = False
    #: Prompts that are run at a time.
    _BATCH = 16

    def __init__(self, model: Any, input_ids: Tensor, attention_mask: Tensor | None, new: int) -> None:
        self._model, self._ids, self._new = model, input_ids, new
        self._length = input_ids.shape[1]
        ones = torch.ones_like(input_ids, dtype=torch.bool)
        prompt = ones if attention_mask is None else attention_mask.bool()
        real = torch.cat([prompt, ones[:, :1].expand(-1, new)], dim=1)
        self._positions = token_positions(real)
        self._real = None if attention_mask is None else real
        #: Of each layer, (prompts, heads, length + new, head size); what is new is another's from pass to pass.
        self._layers: list[tuple[Tensor, Tensor]] = []
        self._chosen: Tensor | slice = slice(0, 0)
        self._runs_prompts = False

    def logits(self, prompts: Tensor, answers: Tensor, keep: Tensor) -> Tensor:
        """(kept, vocab): at positions `keep` (2, kept) of the answers (states, new) behind `prompts` (states,)."""
        if not self._layers:
            for start in range(0, len(self._ids), self._BATCH):
                self._run(slice(start, start + self._BATCH), (0, self._length), self._ids[start : start + self._BATCH])
        output = self._run(prompts, (self._length, self._length + self._new), answers, keep)
        found: Tensor = output.logits[0]
        return found

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *unused: Any, **also_unused: Any
    ) -> tuple[Tensor, Tensor]:
        """Called by transformers' attention with one layer's fresh keys and values; returns all visible ones."""
        if self._runs_prompts:
            if layer_idx == len(self._layers):
                rooms = [
                    fresh.new_zeros(len(self._ids), fresh.shape[1], self._length + self._new, fresh.shape[3])
                    for fresh in (key_states, value_states)
                ]
                self._layers.append((rooms[0], rooms[1]))
            for room, fresh in zip(self._layers[layer_idx], (key_states, value_states), strict=True):
                room[self._chosen, :, : self._length] = fresh
            return key_states, value_states
        assert isinstance(self._chosen, Tensor)
        keys, values = (room.index_select(0, self._chosen) for room in self._layers[layer_idx])
        keys[:, :, self._length :] = key_states
        values[:, :, self._length :] = value_states
        return keys, values

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """How many positions come before those of the pass."""
        return 0 if self._runs_prompts else self._length

    def get_query_offset(self, layer_idx: int = 0) -> int:
        """The same, by the name that masks ask for."""
        return self.get_seq_length()

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        """Number of visible keys, and the index of the first."""
        return self.get_seq_length() + query_length, 0

    def _run(self, chosen: Tensor | slice, queries: tuple[int, int], ids: Tensor, keep: Tensor | None = None) -> Any:
        self._chosen, self._runs_prompts = chosen, queries[0] == 0
        real = None if self._real is None else self._real[chosen]
        return self._model(
            ids,
            attention_mask=visible_keys("full", queries=queries, keys=queries[1], real=real, device=ids.device),
            position_ids=self._positions[chosen, queries[0] : queries[1]],
            past_key_values=self,
            logits_to_keep=1 if keep is None else sent(keep, ids.device),
            prompt_length=self._length,
            aligned=False,
        )
