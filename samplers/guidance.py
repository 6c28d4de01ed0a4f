"""What a step sees of the model: the logits of a window, with shadow tokens, and with classifier-free guidance."""

from __future__ import annotations

import torch
from torch import Tensor

from .denoisers import DecodingSession, Denoiser, SessionRequest, open_session


def look(
    session: DecodingSession, sequences: Tensor, start: int, stop: int, *, shadows: bool
) -> tuple[Tensor, Tensor | None]:
    """Logits of a window, and those at its shadow tokens (see `samplers.shadows`) if they are asked for.

    Args:
        session: whom to ask.
        sequences: (batch, prompt + new), long.
        start, stop: first and last-plus-one position of the window.
        shadows: whether the scheduler needs shadow tokens.

    Returns:
        Twice (batch, stop - start, vocab), or None for the second.

    Raises:
        ValueError: shadow tokens are asked for, and the session has none.
    """
    if not shadows:
        return session.window_logits(sequences, start, stop), None
    shadow_logits = getattr(session, "shadow_logits", None)
    if shadow_logits is None:
        raise ValueError(
            f"{type(session).__name__} has no shadow tokens, which this scheduler needs; use another cache"
        )
    found: tuple[Tensor, Tensor] = shadow_logits(sequences, start, stop)
    return found


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
        denoiser: the model's adapter; both sessions are opened with `request`.
        request: what the generation asks for.
        scale: strength of the guidance, above 0.
        mask_token_id: what stands for the prompt in the second pass.
        prompts: bool (batch or 1, length): what belongs to a prompt; all before `request.prompt_length` if not given.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        request: SessionRequest,
        scale: float,
        mask_token_id: int,
        prompts: Tensor | None = None,
    ) -> None:
        self._conditional = open_session(denoiser, request)
        self._unconditional = open_session(denoiser, request)
        self._scale, self._mask_token_id, self._prompts = scale, mask_token_id, prompts
        self._prompt_length = request.prompt_length

    def window_logits(self, sequences: Tensor, start: int, stop: int) -> Tensor:
        """Guided logits for positions `start` to `stop`, (batch, stop - start, vocab), float32 or better."""
        conditional = self._conditional.window_logits(sequences, start, stop)
        unconditional = self._unconditional.window_logits(self._without_prompt(sequences), start, stop)
        return guide(conditional, unconditional, self._scale)

    def shadow_logits(self, sequences: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Guided logits of the window and at its shadow tokens, each (batch, stop - start, vocab)."""
        seen, seen_shadows = look(self._conditional, sequences, start, stop, shadows=True)
        free, free_shadows = look(self._unconditional, self._without_prompt(sequences), start, stop, shadows=True)
        assert seen_shadows is not None
        assert free_shadows is not None
        return guide(seen, free, self._scale), guide(seen_shadows, free_shadows, self._scale)

    def end_block(self, sequences: Tensor, start: int, stop: int) -> None:
        """Tell both sessions."""
        self._conditional.end_block(sequences, start, stop)
        self._unconditional.end_block(self._without_prompt(sequences), start, stop)

    def forget(self) -> None:
        """Tell both sessions, where they keep anything."""
        for session in (self._conditional, self._unconditional):
            if hasattr(session, "forget"):
                session.forget()

    def _without_prompt(self, sequences: Tensor) -> Tensor:
        if self._prompts is not None:
            return sequences.masked_fill(self._prompts, self._mask_token_id)
        hidden = sequences.clone()
        hidden[:, : self._prompt_length] = self._mask_token_id
        return hidden
