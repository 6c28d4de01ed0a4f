"""DiffusionGemma behind the interface of masked models: its open positions hold noise, the loop's hold a mask.

For the loop and every scheduler an open position is a mask, whose id lies behind the vocabulary. Before each look a
session puts fresh random tokens there, and tells the model what it said last (self-conditioning). A block is a canvas:
what is before it is encoded causally, once, and the canvas sees it and itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..models.masks import token_positions
from ..schedulers.noise import random_tokens
from ..schedulers.views import ModelView
from .interface import DecodingSession, SessionRequest, no_cache, not_given


class UniformDenoiser:
    """A `DiffusionGemmaForBlockDiffusion` of transformers.

    The model is asked about the window alone: the last canvas of an answer that fills it in part is a shorter one.
    Text only: images have no place in a sequence of tokens.

    Args:
        model: the model, as transformers has built it.

    Attributes:
        mask_token_id: of open positions, the first id behind the vocabulary.
        block_length: length of the canvas that the model was trained with.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.mask_token_id: int | None = model.config.get_text_config().vocab_size
        self.block_length: int | None = model.config.canvas_length

    def session(self, request: SessionRequest) -> DecodingSession:
        """One generation.

        Raises:
            ValueError: an approximate cache is asked for, or the scheduler wants shadow tokens or attentions.
        """
        if request.cache is not None:
            raise no_cache(request.cache, self.model)
        for name, wanted in (("shadow tokens", request.wants.shadow_logits), ("attentions", request.wants.attentions)):
            if wanted:
                raise not_given(name, self.model, "open positions hold noise, which its decoder alone sees")
        return CanvasSession(self.model, request)


class CanvasSession:
    """One generation with a model of uniform noise.

    A look draws noise, and is what the model is told at the next one: drafts, of which rows have different numbers,
    would let a row hang on the others, so that they are dropped.

    Args:
        model: a `DiffusionGemmaForBlockDiffusion`.
        request: what is known of the generation.
    """

    changes_by_looking = True

    def __init__(self, model: Any, request: SessionRequest) -> None:
        assert request.mask_token_id is not None
        self._model, self._request, self._mask = model, request, request.mask_token_id
        self._vocab_size: int = model.config.get_text_config().vocab_size
        mask = request.attention_mask
        self._real = None if mask is None else mask.bool()
        self._context: Any = None
        self._encoded = 0
        # Of this canvas: its first position, the looks at it, and what the model is to be told of the last.
        self._start, self._looks = -1, 0
        self._last: Tensor | None = None

    def look(self, sequences: Tensor, start: int, stop: int) -> ModelView:
        """One pass of the decoder over the window; one of the encoder before it where the context has grown.

        Raises:
            ValueError: there is an open position before the window: it has no token to be encoded.
        """
        if start != self._start:
            self._start_over()
            self._start = start
        self._encode(sequences, start)
        window = sequences[:, start:stop]
        is_open = window == self._mask
        canvas = torch.where(is_open, self._noise(is_open), window)
        places = self._places(sequences, stop)[:, start:stop]
        seen = None if self._real is None else self._real[:, :stop]
        told = self._last
        if told is not None and told.shape[1] != canvas.shape[1]:
            # A window that has grown: the model has said nothing of the rest.
            told = torch.nn.functional.pad(told, (0, 0, 0, canvas.shape[1] - told.shape[1]))
        logits: Tensor = self._model(
            decoder_input_ids=canvas,
            past_key_values=self._context,
            self_conditioning_logits=told,
            decoder_attention_mask=seen,
            decoder_position_ids=places,
        ).logits
        annealing = self._request.wants.annealing
        said = logits
        if annealing is not None:
            said = logits / annealing.temperature(torch.tensor(self._looks, device=logits.device))
        self._last = said.to(self._model.model.decoder.embed_tokens.weight.dtype)
        self._looks += 1
        return ModelView(logits)

    def end_block(self, sequences: Tensor, start: int, stop: int) -> None:
        """The next canvas is told nothing of this one's."""
        self._start_over()

    def forget(self) -> None:
        """Anything may have changed: encode the context again, and tell the model nothing."""
        self._context, self._encoded = None, 0
        self._start_over()

    def _start_over(self) -> None:
        self._start, self._looks, self._last = -1, 0, None

    def _encode(self, sequences: Tensor, stop: int) -> None:
        """Make the context the tokens before `stop`."""
        if self._context is None or self._encoded > stop:
            from transformers import DynamicCache

            self._context, self._encoded = DynamicCache(config=self._model.config.get_text_config(decoder=True)), 0
        if self._encoded == stop:
            return
        fresh = sequences[:, self._encoded : stop]
        if bool((fresh == self._mask).any()):
            raise ValueError(
                f"{type(self._model).__name__} cannot encode an open position: its prompts and finished blocks hold "
                "tokens alone (guidance, which hides the prompt behind mask tokens, has none to hide it behind)"
            )
        real = torch.ones_like(sequences[:, :stop]) if self._real is None else self._real[:, :stop].long()
        self._model.model.encoder(
            input_ids=fresh,
            attention_mask=real,
            past_key_values=self._context,
            position_ids=self._places(sequences, stop)[:, self._encoded :],
        )
        self._encoded = stop

    def _places(self, sequences: Tensor, stop: int) -> Tensor:
        """Positions of the tokens before `stop`, (batch, stop), long: padding is not counted."""
        if self._real is None:
            return torch.arange(stop, device=sequences.device).expand(len(sequences), -1)
        return token_positions(self._real[:, :stop])

    def _noise(self, is_open: Tensor) -> Tensor:
        """Random tokens, (batch, window), long; with a source per row, for rows alone that have open positions."""
        source: Any = self._request.generator
        if isinstance(source, Sequence):
            needed = is_open.any(dim=1).tolist()
            source = [one if need else None for one, need in zip(source, needed, strict=True)]
        return random_tokens(self._vocab_size, is_open.shape, source, is_open.device)
