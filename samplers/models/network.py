"""A masked diffusion language model on transformers' blocks: any of the four kinds of attention, aligned logits."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .attentions import AttentionRecorder
from .block_routing import real_tokens, routing_within
from .configuration import CheckpointConfig
from .family import Attention
from .masks import answer_starts, token_positions, visible_keys


@dataclass
class DenoiserOutput:
    """What a network returns.

    Attributes:
        logits: (batch, length or rows kept, vocab), in the network's dtype.
        past_key_values: the cache that was passed, extended by this call.
        attentions: (batch, layers asked for, window, window), float32, the mean over the heads; None if not asked for.
    """

    logits: Tensor
    past_key_values: Any = None
    attentions: Tensor | None = None

    def to(self, device: torch.device, **options: Any) -> DenoiserOutput:
        """The logits on another device, by which accelerate brings them back to where the token ids are."""
        attentions = None if self.attentions is None else self.attentions.to(device)
        return DenoiserOutput(self.logits.to(device, **options), self.past_key_values, attentions)


@dataclass
class SpecialTokens:
    """Token ids that a loaded model knows; None (or nothing) where neither its files nor its family name them."""

    mask_token_id: int | None = None
    eos_token_id: int | None = None
    pad_token_id: int | None = None
    stop_token_ids: tuple[int, ...] = ()


class DiffusionLanguageModel(nn.Module):
    """A decoder of transformers with the attention of a diffusion model, and logits aligned with the tokens.

    Attributes:
        config: the checkpoint's own config.
        attention: "full", "block_causal", "prompt_first" or "causal_context"; see `samplers.models.masks.visible_keys`.
        block_length: length of a block; may be set to another value where the checkpoint was trained for several.
        shift: 1 where row i of the decoder's raw logits describes token i + 1; `forward` undoes it.
        expert_capacity: how many experts the tokens of a block may use between them; None where it is not limited.
        withheld_token_ids: tokens whose logits are the least of the dtype, because what they ask for is not done here.
        mask_token_id, eos_token_id, pad_token_id, stop_token_ids, vocab_size: of the checkpoint.
        name_or_path, revision: where it was loaded from; the revision is the commit on the Hub.
    """

    #: Takes a `samplers.denoisers.caches.KeyValueBuffer`.
    has_kv_cache = True
    #: Takes `attention_layers` and `attention_window`.
    records_attentions = True
    #: Takes `logits_to_keep` of shape (2, kept).
    keeps_single_positions = True
    #: Does the same to tensors whenever it is called with the same shapes, and never waits for the device.
    can_be_captured = True

    def __init__(
        self,
        blocks: Any,
        config: CheckpointConfig,
        *,
        attention: Attention,
        block_length: int | None = None,
        shift: int = 0,
        expert_capacity: int | None = None,
        withheld_token_ids: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.model = blocks
        where = blocks.embed_tokens.weight.device
        self.lm_head = nn.Linear(blocks.config.hidden_size, blocks.config.vocab_size, bias=False, device=where)
        # Transformers' decoders are causal unless both say otherwise.
        blocks.config.is_causal = False
        for module in blocks.modules():
            if hasattr(module, "is_causal"):
                module.is_causal = False
        self.config = config
        self.attention: Attention = attention
        self.block_length = block_length
        self.shift = shift
        self.expert_capacity = expert_capacity
        self.withheld_token_ids = tuple(withheld_token_ids)
        # Brought to the device once, for which a pass would have to wait otherwise.
        self._withheld: Tensor | None = None
        self.vocab_size: int = blocks.config.vocab_size
        self.answer_start_token_id: int | None = config.get("answer_start_token_id")
        self.name_or_path = ""
        self.revision: str | None = None
        self.set_special_tokens(SpecialTokens())

    def set_special_tokens(self, tokens: SpecialTokens) -> None:
        """Take over the ids of `tokens`."""
        self.mask_token_id, self.eos_token_id = tokens.mask_token_id, tokens.eos_token_id
        self.pad_token_id, self.stop_token_ids = tokens.pad_token_id, tokens.stop_token_ids

    def compile(self, *arguments: Any, **options: Any) -> None:
        """Compile in place, part by part: all layers share what is compiled for the first.

        With full attention the parts are the decoder's layers. With a KV cache each layer writes to a tensor of
        its own, which would end the sharing: the parts are then its MLP and its norms.

        Args:
            arguments, options: those of `torch.compile`.
        """
        for layer in self.model.layers:
            if self.attention == "full":
                layer.compile(*arguments, **options)
                continue
            for name, part in layer.named_modules():
                # The experts' own product is one kernel already, and its shapes change with every call.
                if (name == "mlp" and not hasattr(part, "experts")) or "norm" in name.rpartition(".")[2]:
                    part.compile(*arguments, **options)

    @property
    def num_layers(self) -> int:
        """Layers of the decoder."""
        return len(self.model.layers)

    @property
    def device(self) -> torch.device:
        """Where the embedding lies, and so where token ids belong."""
        device: torch.device = self.model.embed_tokens.weight.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """Of the embedding."""
        dtype: torch.dtype = self.model.embed_tokens.weight.dtype
        return dtype

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        logits_to_keep: int | Tensor | None = None,
        prompt_length: int | Tensor | None = None,
        aligned: bool = True,
        attention_layers: Sequence[int] = (),
        attention_window: tuple[int, int] | None = None,
    ) -> DenoiserOutput:
        """Logits for `input_ids`.

        Args:
            input_ids: (batch, length), long.
            attention_mask: (batch, past + length), 1 for tokens and 0 for padding on either side; or a finished mask
                (batch or 1, 1, length, keys), True where a query may look, which replaces the model's own.
            position_ids: (batch, length), long; by default the real tokens are counted.
            past_key_values: a cache as transformers' attention calls it. Its keys come before those of `input_ids`,
                and for block-causal attention end with a whole block.
            logits_to_keep: indices of the rows wanted, (rows,), long; or how many of the last ones; or (2, kept), long:
                the sequence and the row in it of each position wanted, for which the logits are (1, kept, vocab).
            prompt_length: for "prompt_first": where the answer starts, padding and past included, one number or
                (batch,). By default after the last `answer_start_token_id` of each row; with a past, that everything
                in `input_ids` is answer. For "causal_context": where the open block starts, which ends with
                `input_ids`; by default everything is open.
            aligned: whether row i of the logits describes token i. False gives the raw rows: row i describes token
                i + `shift`.
            attention_layers: layers whose attention weights are returned too; every layer keeps its fused attention.
            attention_window: first and last (exclusive) position, past included, between which weights are returned;
                None means all of `input_ids`.

        Raises:
            ValueError: aligned logits are asked of a shifted model that is given a past: its first row describes a
                token before `input_ids`.
        """
        length = input_ids.shape[1]
        past = 0 if past_key_values is None else past_key_values.get_seq_length()
        if aligned and self.shift and past:
            raise ValueError(
                "with past_key_values, aligned logits of this model would need the last row of the call before; "
                "pass aligned=False and shift the rows yourself"
            )
        real = None
        if attention_mask is not None and attention_mask.dim() == 2:
            real = attention_mask.to(device=input_ids.device, dtype=torch.bool)
        if position_ids is None:
            if real is None:
                position_ids = torch.arange(past, past + length, device=input_ids.device)[None]
            else:
                position_ids = token_positions(real)[:, past:]
        mask = attention_mask
        if mask is None or mask.dim() == 2:
            if self.attention == "prompt_first" and prompt_length is None:
                if past:
                    prompt_length = past
                elif self.answer_start_token_id is not None:
                    prompt_length = answer_starts(input_ids, self.answer_start_token_id)
            mask = visible_keys(
                self.attention,
                queries=(past, past + length),
                keys=past + length,
                real=real,
                block_length=self.block_length,
                prompt_length=prompt_length,
                device=input_ids.device,
            )
        routed: AbstractContextManager[None] = nullcontext()
        if self.expert_capacity is not None:
            assert self.block_length is not None
            own = real_tokens(mask, past, length) if real is None else real[:, past:]
            routed = routing_within(position_ids, own, self.block_length)
        if mask is not None and self.model.config._attn_implementation == "eager" and mask.dtype == torch.bool:
            mask = torch.zeros_like(mask, dtype=self.dtype).masked_fill(~mask, torch.finfo(self.dtype).min)
        inputs = {"input_ids": input_ids, "attention_mask": mask, "position_ids": position_ids}
        attentions = None
        if attention_layers:
            start, stop = attention_window or (past, past + length)
            recorder = AttentionRecorder(queries=slice(start - past, stop - past), keys=slice(start, stop))
            with routed, recorder.recording(self.model.layers, attention_layers):
                output = self.model(
                    **inputs, past_key_values=past_key_values, use_cache=False, attention_recorder=recorder
                )
            attentions = recorder.weights(input_ids.device)
        else:
            with routed:
                output = self.model(**inputs, past_key_values=past_key_values, use_cache=False)
        logits = self.lm_head(self._rows(output.last_hidden_state, logits_to_keep, aligned))
        if self.withheld_token_ids:
            # As good as minus infinity in a softmax, and guidance can subtract it from itself.
            if self._withheld is None or self._withheld.device != logits.device:
                self._withheld = torch.tensor(self.withheld_token_ids, device=logits.device)
            logits.index_fill_(-1, self._withheld, torch.finfo(logits.dtype).min)
        return DenoiserOutput(logits, past_key_values, attentions)

    def _rows(self, hidden: Tensor, keep: int | Tensor | None, aligned: bool) -> Tensor:
        shift = self.shift if aligned else 0
        if isinstance(keep, Tensor) and keep.dim() == 2:
            sequence, row = keep.to(hidden.device)
            return hidden[sequence, (row - shift).clamp(min=0)].unsqueeze(0)
        if isinstance(keep, Tensor):
            # Row 0 of a shifted model is all there is for token 0. The last layer may lie on another device.
            return hidden.index_select(1, ((keep - shift).clamp(min=0) if shift else keep).to(hidden.device))
        if shift:
            hidden = torch.cat([hidden[:, :1], hidden[:, :-1]], dim=1)
        return hidden if not keep else hidden[:, -keep:]
