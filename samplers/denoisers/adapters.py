"""Adapters: one call that gives logits aligned with the tokens of a window, whatever model stands behind it."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from ..models.calling import Calling
from ..models.masks import token_positions, visible_keys
from ..models.unwrapping import unwrapped
from ..schedulers.views import ModelView
from .interface import (
    DecodingSession,
    Denoiser,
    SessionRequest,
    StatelessSession,
    no_cache,
    not_given,
)
from .sessions import CachedSession
from .shadows import with_shadows

#: Families whose row i of logits predicts token i + 1 (Dream and DiffuCoder, arXiv 2508.15487, 2506.20639).
SHIFTED_FAMILIES = ("Dream",)
#: Families whose own code leaves the block-causal mask to its caller.
BLOCK_CAUSAL_FAMILIES = ("sdar", "llada2_moe", "Fast_dLLM_Qwen")


class ModelDenoiser:
    """A model behind the `Denoiser` interface.

    The model is any callable whose output has `.logits` of shape (batch, length, vocab). It is handed `position_ids`
    and `logits_to_keep` only where its signature names them, and `attention_mask` where it may take it; before the
    first padded batch it is asked whether padding changes what it says of a row (`samplers.models.padding`). A model
    of `samplers.models` decodes with a KV cache, see `samplers.denoisers.sessions.CachedSession`. Of a model in
    wrappers (torch.compile, data parallelism, PEFT) the outermost is called, and the innermost says what it is.

    Args:
        model: the callable.
        shift: 0 where row i of the logits describes token i, 1 where it describes token i + 1.
    """

    def __init__(self, model: Any, *, shift: int = 0) -> None:
        self.model = model
        self.shift = shift
        self.mask_token_id: int | None = model_attribute(model, "mask_token_id")
        self.block_length: int | None = model_attribute(model, "block_length")
        #: Length of the blocks that a block-causal model counts from the first token of a prompt, else None.
        self._calling = Calling(model, shift=shift)
        self._takes = self._calling.takes
        bare = self._calling.bare
        self.grid_length = self.block_length if getattr(bare, "attention", None) == "block_causal" else None

    def window_logits(self, input_ids: Tensor, attention_mask: Tensor | None, start: int, stop: int) -> Tensor:
        arguments = self._calling.arguments(input_ids, attention_mask)
        if self.shift == 0 and "logits_to_keep" not in self._takes:
            return self._run(input_ids, None, **arguments)[0][:, start:stop]
        # Row 0 of a shifted model is all there is for token 0.
        rows = torch.arange(start - self.shift, stop - self.shift, device=input_ids.device).clamp(min=0)
        return self._run(input_ids, rows, **arguments)[0]

    def look(self, sequences: Tensor, start: int, stop: int, request: SessionRequest) -> ModelView:
        """One forward pass over everything that gives what `request.wants`, for positions `start` to `stop`.

        Raises:
            ValueError: the model cannot give it; see `session`.
        """
        wants, mask = request.wants, request.attention_mask
        if not wants.shadow_logits and not wants.attentions:
            return ModelView(self.window_logits(sequences, mask, start, stop))
        length, window = sequences.shape[1], stop - start
        real = torch.ones_like(sequences, dtype=torch.bool) if mask is None else mask.bool()
        ids, positions = sequences, token_positions(real)
        visible = visible_keys(
            getattr(self._calling.bare, "attention", None) or "full",
            queries=(0, length),
            keys=length,
            real=None if mask is None else real,
            block_length=self.block_length,
            prompt_length=request.prompt_length,
            device=ids.device,
        )
        rows = torch.arange(start - self.shift, stop - self.shift).clamp(min=0)
        arguments: dict[str, Any] = {}
        if wants.shadow_logits:
            assert request.mask_token_id is not None
            ids, positions, visible = with_shadows(
                ids, positions, visible, (start, stop), keys=length, mask_token_id=request.mask_token_id
            )
            # A wrapper may share a batch out among devices, and takes every tensor for one.
            visible = visible.expand(len(ids), -1, -1, -1)
            rows = torch.cat([rows, torch.arange(length, length + window)])
        if wants.attentions:
            arguments = {
                "attention_layers": wants.layers(self._calling.bare.num_layers),
                "attention_window": (start, stop),
            }
        logits, attentions = self._run(
            ids,
            rows.to(ids.device),
            attention_mask=visible,
            position_ids=positions + self._calling.first_position,
            **arguments,
        )
        return ModelView(logits[:, :window], logits[:, window:] if wants.shadow_logits else None, attentions)

    def session(self, request: SessionRequest) -> DecodingSession:
        """With a KV cache where the model takes one, else one that keeps nothing.

        Raises:
            ValueError: an approximate cache is asked for, and the model has no KV cache; or the scheduler wants what
                the model cannot give.
        """
        wants = request.wants
        if wants.shadow_logits and (self.shift != 0 or not takes_any_attention(self.model)):
            raise not_given(
                "shadow tokens", self.model, "they take aligned logits, position_ids and a mask (batch, 1, query, key)"
            )
        if wants.attentions:
            if not getattr(self._calling.bare, "records_attentions", False):
                raise not_given("attentions", self.model, "models of a known family have them, by samplers.models.load")
            wants.layers(self._calling.bare.num_layers)
        if getattr(self.model, "has_kv_cache", False) and (request.cache or self.model.attention != "full"):
            return CachedSession(self.model, request)
        if request.cache is not None:
            raise no_cache(request.cache, self)
        return StatelessSession(self, request)

    def _run(self, input_ids: Tensor, rows: Tensor | None, **arguments: Any) -> tuple[Tensor, Tensor | None]:
        """Chosen rows of the model's logits, (batch, rows, vocab), and attentions if asked for, in one forward pass.

        Args:
            input_ids: (batch, length), long.
            rows: (rows,), long: which ones, in the model's own numbering; None means all.
            arguments: what else the model is called with; None counts as not given.
        """
        arguments = {name: value for name, value in arguments.items() if value is not None}
        if rows is not None and "logits_to_keep" in self._takes:
            arguments["logits_to_keep"] = rows
        output = self.model(input_ids, **arguments)
        logits = self._logits(output)
        if "logits_to_keep" not in arguments:
            if logits.shape[:2] != input_ids.shape:
                raise ValueError(
                    f"{type(self.model).__name__} returned logits of shape {tuple(logits.shape)} for input_ids of "
                    f"shape {tuple(input_ids.shape)}; they should be (batch, length, vocab)"
                )
            logits = logits if rows is None else logits.index_select(1, rows)
        # What it is called with decides whether there are any: other models' outputs use the name for something else.
        return logits, output.attentions if "attention_layers" in arguments else None

    def _logits(self, output: Any) -> Tensor:
        logits = getattr(output, "logits", None)
        if not isinstance(logits, Tensor):
            raise TypeError(
                f"{type(self.model).__name__} returned {type(output).__name__}, which has no tensor .logits"
            )
        return logits


def denoiser_for(model: Any) -> Denoiser:
    """The adapter for `model`, chosen by `model.config.model_type`.

    A `Denoiser`, or what has a method `session(request)` beside its attributes, is returned as it is.

    Raises:
        ValueError: the model's family needs a block-causal attention mask.
    """
    if isinstance(model, Denoiser) or hasattr(model, "session"):
        denoiser: Denoiser = model
        return denoiser
    bare = unwrapped(model)
    if isinstance(getattr(bare, "attention", None), str):
        # A model of samplers.models aligns its logits and builds its masks itself.
        return ModelDenoiser(model)
    family = getattr(getattr(bare, "config", None), "model_type", None)
    if family in BLOCK_CAUSAL_FAMILIES:
        raise ValueError(
            f"model_type {family!r} needs block-causal attention, which its own code leaves to the caller; "
            "load it with samplers.models.load"
        )
    return ModelDenoiser(model, shift=1 if family in SHIFTED_FAMILIES else 0)


def takes_any_attention(model: Any) -> bool:
    """Whether each query of the model may see any keys, as an attention mask (batch, 1, query, key) says.

    True of models of `samplers.models` that predict no token to the right, and of the encoders of transformers.
    """
    model = unwrapped(model)
    parameters = inspect.signature(getattr(model, "forward", model)).parameters
    if not {"attention_mask", "position_ids"} <= set(parameters):
        return False
    if getattr(model, "attention", None) is not None:
        return getattr(model, "shift", 0) == 0
    # Code that comes with a checkpoint has another home than transformers, and promises nothing.
    own = type(model).__module__.startswith("transformers.")
    return own and not getattr(getattr(model, "config", None), "is_decoder", False)


def model_attribute(model: Any, name: str) -> int | None:
    """A whole number that the model or its config carries under `name`, else None."""
    bare = unwrapped(model)
    for holder in (model, bare, getattr(bare, "config", None)):
        value = getattr(holder, name, None)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None
