"""Lets the settings of a task share the encoding of its prompts, where a prompt does not depend on the answer."""

from __future__ import annotations

from typing import Any

from samplers import DecodingSession, ModelView, SessionRequest, denoiser_for


def shares_prompts(model: Any) -> bool:
    """Whether a prompt's part of the KV cache is the same whatever the answer is."""
    return getattr(model, "attention", None) == "prompt_first"


class PromptSharingDenoiser:
    """A model whose prompts attend to themselves alone, which reuses the KV cache of the last generation's prompts.

    The same prompts are decoded under one setting after the other. A session of such a model holds the prompt's
    KV cache and computes all other keys and values anew in every step, so the next generation may use it unchanged.
    On a laptop that saves a sixth of a run. One thread at a time may use it.

    Args:
        model: one for which `shares_prompts` is true.
    """

    def __init__(self, model: Any) -> None:
        self._denoiser: Any = denoiser_for(model)
        self.mask_token_id: int | None = self._denoiser.mask_token_id
        self.block_length: int | None = self._denoiser.block_length
        self._last: tuple[Any, int, SessionRequest, DecodingSession] | None = None

    def window_logits(self, input_ids: Any, attention_mask: Any, start: int, stop: int) -> Any:
        """Without a session nothing is shared."""
        return self._denoiser.window_logits(input_ids, attention_mask, start, stop)

    def session(self, request: SessionRequest) -> DecodingSession:
        """A session that is that of the last generation if its prompts turn out to be the same."""
        return _SharedSession(self, request)

    def _session_for(self, sequences: Any, request: SessionRequest) -> DecodingSession:
        prompt, length = sequences[:, : request.prompt_length], sequences.shape[1]
        if self._last is not None:
            before, its_length, its_request, session = self._last
            if length == its_length and _same(before, its_request, prompt, request):
                return session
        # Dropped before the new one takes its memory.
        self._last = None
        self._last = prompt.clone(), length, request, self._denoiser.session(request)
        return self._last[3]


class _SharedSession:
    """Asks its owner for a session when the first step shows the prompts."""

    def __init__(self, owner: PromptSharingDenoiser, request: SessionRequest) -> None:
        self._owner, self._request = owner, request
        self._session: DecodingSession | None = None

    def look(self, sequences: Any, start: int, stop: int) -> ModelView:
        if self._session is None:
            self._session = self._owner._session_for(sequences, self._request)
        return self._session.look(sequences, start, stop)

    def look_at_states(self, sequences: Any, rows: Any, start: int, stop: int) -> ModelView:
        session: Any = self._session
        view: ModelView = session.look_at_states(sequences, rows, start, stop)
        return view

    def end_block(self, sequences: Any, start: int, stop: int) -> None:
        if self._session is not None:
            self._session.end_block(sequences, start, stop)

    def forget(self) -> None:
        if self._session is not None:
            self._session.forget()


def _same(prompt: Any, request: SessionRequest, other_prompt: Any, other: SessionRequest) -> bool:
    """Whether two generations of one length differ in nothing that a session depends on."""
    import torch

    if request.cache is not None or other.cache is not None or request.prompt_length != other.prompt_length:
        return False
    if (request.wants, request.mask_token_id) != (other.wants, other.mask_token_id):
        return False
    mask, other_mask = request.attention_mask, other.attention_mask
    if mask is None or other_mask is None:
        same_padding = mask is other_mask
    else:
        same_padding = mask.shape == other_mask.shape and torch.equal(mask, other_mask)
    return same_padding and prompt.shape == other_prompt.shape and torch.equal(prompt, other_prompt)
