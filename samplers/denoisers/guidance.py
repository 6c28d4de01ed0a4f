"""Classifier-free guidance: two sessions of one model that answer as one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..schedulers.views import ModelView
from .interface import SessionRequest, open_session


def guide(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Logits moved away from what the model says without the prompt: u + (1 + scale) (c - u).

    The unsupervised guidance of Nie et al. (arXiv 2410.18514) as LLaDA's sampler has it (arXiv 2502.09992):
    p(x | prompt)^(1 + scale) / p(x)^scale, not normalised.

    Args:
        conditional: (batch, window, vocab), any float dtype.
        unconditional: the same shape.
        scale: at least 0; 0 gives `conditional`.

    Returns:
        (batch, window, vocab), float32 or better. What is impossible given the prompt stays impossible.
    """
    dtype = torch.float64 if conditional.dtype == torch.float64 else torch.float32
    with_prompt, without = conditional.to(dtype), unconditional.to(dtype)
    guided = without + (1 + scale) * (with_prompt - without)
    return guided.masked_fill(with_prompt == -torch.inf, -torch.inf)


class GuidedSession:
    """Two sessions of one denoiser, with the prompt and without it, that answer as one.

    Without it means that every token of the prompt is replaced by the mask token, in its place, as LLaDA's sampler does
    it; padding stays padding. The generated region, tokens given by a prefill included, is the same in both. A step
    costs two forward passes.

    Args:
        denoiser: the model's adapter; both sessions are opened with `request`, which names the mask token.
        request: what the generation asks for.
        scale: strength of the guidance, above 0.
        prompts: bool (batch or 1, length): what belongs to a prompt; all before `request.prompt_length` if not given.
    """

    def __init__(self, denoiser: Any, request: SessionRequest, scale: float, prompts: Tensor | None = None) -> None:
        # Recorded proposals cannot be guided.
        request = replace(request, wants=replace(request.wants, logits=True))
        self._conditional, self._unconditional = open_session(denoiser, request), open_session(denoiser, request)
        self._request, self._scale, self._prompts = request, scale, prompts

    @property
    def look_at_states(self) -> Callable[[Tensor, Tensor, int, int], ModelView]:
        """As `DraftingSession.look_at_states`, guided; absent where the sessions do not have it."""
        # Kept on the session it would keep the session, and its keys, alive.
        if not hasattr(self._conditional, "look_at_states"):
            raise AttributeError(f"{type(self._conditional).__name__} has no look_at_states")
        return self._look_at_states

    def look(self, sequences: Tensor, start: int, stop: int) -> ModelView:
        """The view with the prompt; its logits, at the shadow tokens too, are guided, float32 or better."""
        wants = self._request.wants
        view = self._conditional.look(sequences, start, stop).checked(wants, self._conditional)
        free = self._unconditional.look(self._without_prompt(sequences), start, stop)
        free = free.checked(wants, self._unconditional)
        return replace(
            view,
            logits=self._guided(view.logits, free.logits),
            shadow_logits=self._guided(view.shadow_logits, free.shadow_logits),
        )

    def _look_at_states(self, sequences: Tensor, rows: Tensor, start: int, stop: int) -> ModelView:
        sessions: list[Any] = [self._conditional, self._unconditional]
        states = (sequences, self._without_prompt(sequences, rows))
        views = [one.look_at_states(seen, rows, start, stop) for one, seen in zip(sessions, states, strict=True)]
        return ModelView(self._guided(views[0].logits, views[1].logits))

    def end_block(self, sequences: Tensor, start: int, stop: int) -> None:
        """Tell both sessions."""
        self._conditional.end_block(sequences, start, stop)
        self._unconditional.end_block(self._without_prompt(sequences), start, stop)

    def forget(self) -> None:
        """Tell both sessions."""
        self._conditional.forget()
        self._unconditional.forget()

    def _guided(self, conditional: Tensor | None, unconditional: Tensor | None) -> Tensor | None:
        if conditional is None or unconditional is None:
            return None
        return guide(conditional, unconditional, self._scale)

    def _without_prompt(self, sequences: Tensor, rows: Tensor | None = None) -> Tensor:
        assert self._request.mask_token_id is not None
        prompts = self._prompts
        if prompts is not None:
            if rows is not None and len(prompts) > 1:
                prompts = prompts.index_select(0, rows)
            return sequences.masked_fill(prompts, self._request.mask_token_id)
        hidden = sequences.clone()
        hidden[:, : self._request.prompt_length] = self._request.mask_token_id
        return hidden
