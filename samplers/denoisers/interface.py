"""What stands between the loop and a model: a denoiser, and a session of it for each generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from ..schedulers.views import JUST_LOGITS, ModelView, Wants

#: What `generate(..., compile=)` may be.
COMPILE_CHOICES = ("auto", "graphs", "off")


@runtime_checkable
class Denoiser(Protocol):
    """The small interface, all that `generate` needs of a model: logits, special tokens, blocks.

    A denoiser that keeps something between steps, or that gives more than logits, has a method `session(request)`
    instead, or as well, which takes a `SessionRequest` and returns a `DecodingSession`; only that is asked then.
    """

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
        wants: what the scheduler reads of each look.
        generator: the noise source of the generation, one for the batch or a list with one per row, for models whose
            open positions hold noise; a session draws for the rows alone that have open positions.
        compile: whether forward passes may be captured, see `samplers.denoisers.graphs`; "auto", "graphs" or "off".
    """

    attention_mask: Tensor | None
    prompt_length: int
    block_length: int
    revises_blocks: bool = False
    cache: str | None = None
    mask_token_id: int | None = None
    wants: Wants = JUST_LOGITS
    generator: torch.Generator | Sequence[torch.Generator | None] | None = None
    compile: str = "off"


@runtime_checkable
class DecodingSession(Protocol):
    """A denoiser during one generation; it may have a KV cache, and is thrown away afterwards.

    One that has `window_logits(sequences, start, stop)`, which returns logits alone, in the place of `look` will do,
    as long as the scheduler wants no more; `end_block` and `forget` may then be left out.
    """

    def look(self, sequences: Tensor, start: int, stop: int) -> ModelView:
        """The model's view of positions `start` to `stop` (exclusive) of `sequences` (batch, prompt + new).

        The view holds what the request's `wants` asks for, aligned with the tokens. Between two calls of `end_block`
        only positions from `start` on have changed.
        """
        ...

    def end_block(self, sequences: Tensor, start: int, stop: int) -> None:
        """Positions before `stop` are final (unless the request says that blocks are revised); keep what helps."""
        ...

    def forget(self) -> None:
        """A callback has changed tokens, anywhere: what was kept may be wrong."""
        ...


@runtime_checkable
class DraftingSession(DecodingSession, Protocol):
    """A session that looks at several states of its rows in one forward pass.

    One that does not have this is asked once for every state of a row, which gives the same and takes longer.
    """

    def look_at_states(self, sequences: Tensor, rows: Tensor, start: int, stop: int) -> ModelView:
        """The logits of positions `start` to `stop` (exclusive) at any states that rows might be in.

        Called after a `look` at the same window; between the two, `forget` and `end_block` were not.

        Args:
            sequences: (states, prompt + new), long; in a state other tokens may stand from `start` to `stop`.
            rows: (states,), long: which row of the batch each is a state of.

        Returns:
            A view whose `logits` are (states, window, vocab).
        """
        ...


class StatelessSession:
    """Asks the denoiser afresh at every step.

    Args:
        denoiser: has a method `look(sequences, start, stop, request)`, as `ModelDenoiser` has.
        request: what is known of the generation.
    """

    def __init__(self, denoiser: Any, request: SessionRequest) -> None:
        self._denoiser, self._request = denoiser, request

    def look(self, sequences: Tensor, start: int, stop: int) -> ModelView:
        view: ModelView = self._denoiser.look(sequences, start, stop, self._request)
        return view

    def look_at_states(self, sequences: Tensor, rows: Tensor, start: int, stop: int) -> ModelView:
        mask = self._request.attention_mask
        request = replace(self._request, attention_mask=None if mask is None else mask.index_select(0, rows))
        view: ModelView = self._denoiser.look(sequences, start, stop, request)
        return view

    def end_block(self, sequences: Tensor, start: int, stop: int) -> None:
        """Nothing is kept."""

    def forget(self) -> None:
        """Nothing is kept."""


class DenoiserSession:
    """A denoiser of the small interface as a session that keeps nothing."""

    def __init__(self, denoiser: Denoiser, request: SessionRequest) -> None:
        self._denoiser, self._mask = denoiser, request.attention_mask

    def look(self, sequences: Tensor, start: int, stop: int) -> ModelView:
        return ModelView(self._denoiser.window_logits(sequences, self._mask, start, stop))

    def look_at_states(self, sequences: Tensor, rows: Tensor, start: int, stop: int) -> ModelView:
        mask = None if self._mask is None else self._mask.index_select(0, rows)
        return ModelView(self._denoiser.window_logits(sequences, mask, start, stop))

    def end_block(self, sequences: Tensor, start: int, stop: int) -> None:
        """Nothing is kept."""

    def forget(self) -> None:
        """Nothing is kept."""


class LogitsSession:
    """A session of the small interface, which gives logits and nothing else, as a `DecodingSession`.

    Args:
        session: has `window_logits(sequences, start, stop)`; its `end_block` and `forget` are called where it has them.
    """

    def __init__(self, session: Any) -> None:
        self._window_logits = session.window_logits
        self._end_block = getattr(session, "end_block", None)
        self._forget = getattr(session, "forget", None)

    def look(self, sequences: Tensor, start: int, stop: int) -> ModelView:
        return ModelView(self._window_logits(sequences, start, stop))

    def end_block(self, sequences: Tensor, start: int, stop: int) -> None:
        if self._end_block is not None:
            self._end_block(sequences, start, stop)

    def forget(self) -> None:
        if self._forget is not None:
            self._forget()


def open_session(denoiser: Any, request: SessionRequest) -> DecodingSession:
    """The denoiser's own session where it has a method `session(request)`, else one that keeps nothing.

    Whatever has only the small interface is adapted here, and nowhere else.

    Raises:
        ValueError: an approximate cache is asked for, and the denoiser has no sessions of its own; or the scheduler
            wants more than logits, and there is nothing but logits.
    """
    if not hasattr(denoiser, "session"):
        if request.cache is not None:
            raise no_cache(request.cache, denoiser)
        _refuse_more_than_logits(request.wants, denoiser)
        return DenoiserSession(denoiser, request)
    session = denoiser.session(request)
    if isinstance(session, DecodingSession):
        return session
    _refuse_more_than_logits(request.wants, session)
    return LogitsSession(session)


def _refuse_more_than_logits(wants: Wants, giver: Any) -> None:
    for name, wanted in (("shadow tokens", wants.shadow_logits), ("attentions", bool(wants.attentions))):
        if wanted:
            raise not_given(name, giver, "it gives logits alone")


def not_given(name: str, giver: Any, reason: str) -> ValueError:
    """The error for a scheduler that wants what `giver` does not have."""
    return ValueError(f"{type(giver).__name__} has no {name}, which this scheduler needs: {reason}")


def no_cache(cache: str, denoiser: Any) -> ValueError:
    """The error for an approximate cache that this denoiser does not have."""
    return ValueError(f"cache={cache!r}: {type(denoiser).__name__} has no KV cache; leave it None")
