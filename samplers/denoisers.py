"""Adapters: one call that gives logits aligned with the tokens of a window, whatever model stands behind it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from .models.calling import Calling
from .models.unwrapping import unwrapped

#: Families whose row i of logits predicts token i + 1 (Dream and DiffuCoder, arXiv 2508.15487, 2506.20639).
SHIFTED_FAMILIES = ("Dream",)
#: Families whose own code leaves the block-causal mask to its caller.
BLOCK_CAUSAL_FAMILIES = ("sdar", "llada2_moe", "Fast_dLLM_Qwen")


@runtime_checkable
class Denoiser(Protocol):
    """What `generate` needs of a model: logits for a window, and what is known about special tokens and blocks."""

    mask_token_id: int | None
    block_length: int | None

    def window_logits(self, input_ids: Tensor, attention_mask: Tensor | None, start: int, stop: int) -> Tensor:
        """Logits for positions `start` to `stop` (exclusive), aligned with the tokens there.

        Args:
            input_ids: (batch, length), long.
            attention_mask: (batch, length), 1 for real tokens and 0 for padding; None where nothing is padded.

        Returns:
            (batch, stop - start, vocab), any float dtype.
        """
        ...


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What one generation tells a denoiser beforehand, so that it can decide what to keep between steps.

    Attributes:
        attention_mask: (batch, prompt + new), 1 for tokens and 0 for padding; None where nothing is padded.
        prompt_length: tokens before the first generated position, padding included.
        block_length: length of the blocks; the last may be shorter.
        revises_blocks: whether finished blocks may still change, so that nothing of them may be kept.
        cache: None keeps only what is exact; "prefix" and "dual" name the approximate caches of full attention.
        mask_token_id: id of the mask token, for sessions that place more of them.
    """

    attention_mask: Tensor | None
    prompt_length: int
    block_length: int
    revises_blocks: bool = False
    cache: str | None = None
    mask_token_id: int | None = None


class DecodingSession(Protocol):
    """A denoiser during one generation; it may keep keys and values, and is thrown away afterwards.

    A session that keeps something has a method `forget()` as well: it is called when a callback has changed tokens,
    anywhere, and what was kept may be wrong.
    """

    def window_logits(self, sequences: Tensor, start: int, stop: int) -> Tensor:
        """Logits for positions `start` to `stop` (exclusive) of `sequences` (batch, prompt + new), aligned with them.

        Between two calls of `end_block` only positions from `start` on have changed.
        """
        ...

    def end_block(self, sequences: Tensor, start: int, stop: int) -> None:
        """Positions before `stop` are final (unless the request says that blocks are revised); keep what helps."""
        ...


class StatelessSession:
    """Asks the denoiser afresh at every step."""

    def __init__(self, denoiser: Denoiser, request: SessionRequest) -> None:
        self._denoiser, self._attention_mask = denoiser, request.attention_mask
        self._mask_token_id = request.mask_token_id

    def window_logits(self, sequences: Tensor, start: int, stop: int) -> Tensor:
        return self._denoiser.window_logits(sequences, self._attention_mask, start, stop)

    def shadow_logits(self, sequences: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Logits of the window, and at its shadow tokens, each (batch, stop - start, vocab), from one forward pass.

        Raises:
            ValueError: the denoiser has no shadow tokens.
        """
        own = getattr(self._denoiser, "shadow_logits", None)
        if own is None:
            raise ValueError(f"{type(self._denoiser).__name__} has no shadow tokens, which this scheduler needs")
        found: tuple[Tensor, Tensor] = own(sequences, self._attention_mask, start, stop, self._mask_token_id)
        return found

    def end_block(self, sequences: Tensor, start: int, stop: int) -> None:
        """Nothing is kept."""


def open_session(denoiser: Denoiser, request: SessionRequest) -> DecodingSession:
    """The denoiser's own session where it has a method `session(request)`, else one that keeps nothing.

    Raises:
        ValueError: an approximate cache is asked for, and the denoiser has no sessions of its own.
    """
    own = getattr(denoiser, "session", None)
    if own is not None:
        session: DecodingSession = own(request)
        return session
    if request.cache is not None:
        raise no_cache(request.cache, denoiser)
    return StatelessSession(denoiser, request)


def no_cache(cache: str, denoiser: Denoiser) -> ValueError:
    """The error for a cache that nobody fills."""
    return ValueError(f"cache={cache!r}: {type(denoiser).__name__} keeps no keys and values; leave it None")


class ModelDenoiser:
    """A model behind the `Denoiser` interface.

    The model is any callable whose output has `.logits` of shape (batch, length, vocab). It is handed `position_ids`
    and `logits_to_keep` only where its signature names them, and `attention_mask` where it may take it; before the
    first padded batch it is asked whether padding changes what it says of a row (`samplers.models.padding`). A model
    of `samplers.models` decodes with its keys and values kept, see `samplers.sessions.CachedSession`. Of a model in
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
            return self.rows(input_ids, None, **arguments)[:, start:stop]
        # Row 0 of a shifted model is all there is for token 0.
        rows = torch.arange(start - self.shift, stop - self.shift, device=input_ids.device).clamp(min=0)
        return self.rows(input_ids, rows, **arguments)

    def rows(self, input_ids: Tensor, rows: Tensor | None, **arguments: Any) -> Tensor:
        """Chosen rows of the model's logits in one forward pass, (batch, rows, vocab).

        Args:
            input_ids: (batch, length), long.
            rows: (rows,), long: which ones, in the model's own numbering; None means all.
            arguments: what else the model is called with; None counts as not given.
        """
        arguments = {name: value for name, value in arguments.items() if value is not None}
        if rows is not None and "logits_to_keep" in self._takes:
            return self._logits(self.model(input_ids, logits_to_keep=rows, **arguments))
        logits = self._logits(self.model(input_ids, **arguments))
        if logits.shape[:2] != input_ids.shape:
            raise ValueError(
                f"{type(self.model).__name__} returned logits of shape {tuple(logits.shape)} for input_ids of shape "
                f"{tuple(input_ids.shape)}; they should be (batch, length, vocab)"
            )
        return logits if rows is None else logits.index_select(1, rows)

    def session(self, request: SessionRequest) -> DecodingSession:
        """Keeps keys and values where the model can, else nothing.

        Raises:
            ValueError: an approximate cache is asked for, and the model keeps no keys and values.
        """
        if getattr(self.model, "keeps_keys", False) and (request.cache or self.model.attention != "full"):
            from .sessions import CachedSession

            return CachedSession(self.model, request)
        if request.cache is not None:
            raise no_cache(request.cache, self)
        return StatelessSession(self, request)

    def shadow_logits(
        self, input_ids: Tensor, attention_mask: Tensor | None, start: int, stop: int, mask_token_id: int
    ) -> tuple[Tensor, Tensor]:
        """Logits of a window and at its shadow tokens (see `samplers.shadows`), each (batch, stop - start, vocab).

        Raises:
            ValueError: the model takes no attention mask of its own or no position ids, or predicts the next token.
        """
        from .shadows import shadow_inputs

        if self.shift != 0 or not takes_any_attention(self.model):
            raise ValueError(
                f"{type(self.model).__name__} has no shadow tokens, which this scheduler needs: they take "
                "bidirectional attention, aligned logits, position_ids and an attention mask (batch, 1, query, key)"
            )
        length, window = input_ids.shape[1], stop - start
        ids, mask, positions = shadow_inputs(input_ids, attention_mask, start, stop, mask_token_id)
        positions = positions + self._calling.first_position
        rows = torch.cat([torch.arange(start, stop), torch.arange(length, length + window)]).to(input_ids.device)
        logits = self.rows(ids, rows, attention_mask=mask, position_ids=positions)
        return logits[:, :window], logits[:, window:]

    def _logits(self, output: Any) -> Tensor:
        logits = getattr(output, "logits", None)
        if not isinstance(logits, Tensor):
            raise TypeError(
                f"{type(self.model).__name__} returned {type(output).__name__}, which has no tensor .logits"
            )
        return logits


def denoiser_for(model: Any) -> Denoiser:
    """The adapter for `model`, chosen by `model.config.model_type`; a `Denoiser` is returned as it is.

    Raises:
        ValueError: the model's family needs a block-causal attention mask.
    """
    if isinstance(model, Denoiser):
        return model
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

    True of models with an attribute `attention` that is "full", and of the encoders of transformers.
    """
    model = unwrapped(model)
    parameters = inspect.signature(getattr(model, "forward", model)).parameters
    if not {"attention_mask", "position_ids"} <= set(parameters):
        return False
    if getattr(model, "attention", None) is not None:
        return bool(model.attention == "full") and getattr(model, "shift", 0) == 0
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
