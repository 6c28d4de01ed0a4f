"""Schedulers of masked models in diffusers' `DiffusionGemmaPipeline`, whose open positions hold random tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .proposals import Generators
from .step import UnmaskingSchedulerOutput


class DiffusionGemmaPipelineMixin:
    """A step without a mask token, as `DiffusionGemmaPipeline` asks for it; `generate` does not use it."""

    step: Any
    #: Steps of a block that the pipeline has asked for; it makes no more, whatever is still open.
    _asked_steps: int | None = None
    #: Whether the temperature that the pipeline passes, 0 unless its caller says otherwise, is taken for the method's.
    _takes_called_temperature = True
    #: The canvas that was returned last, and which of its positions are open, both (batch, window).
    _canvas: tuple[Tensor, Tensor] | None = None

    def _step_of_noise(
        self, model_output: Any, timestep: int | Tensor, sample: Tensor, *, return_dict: bool, **arguments: Any
    ) -> UnmaskingSchedulerOutput | tuple[Tensor, ...]:
        """One step on a canvas whose open positions hold random tokens.

        Open are those that the step before left open, and all of a row that does not continue what that returned. They
        get fresh random tokens; what is open at the last step of `set_timesteps` takes the proposed token.

        Args:
            model_output: (batch, window, vocab) logits.
            timestep: number of the step in its block, counted up from 0, as that pipeline counts.
            sample: (batch, window), long.
            return_dict: as for `step`.
            arguments: those of `step`.

        Returns:
            The output of `step` on a sample with masks, but for `prev_sample`, which holds noise in their place, and
            `pred_logits`, what the model is to be told at the next step.
        """
        if not self._takes_called_temperature:
            arguments["temperature"] = None
        mask, device = model_output.shape[-1], sample.device
        is_open = torch.ones_like(sample, dtype=torch.bool)
        if self._canvas is not None and self._canvas[0].shape == sample.shape:
            canvas, was_open = self._canvas
            continues = (canvas.to(device) == sample).all(dim=1, keepdim=True)
            is_open = was_open.to(device) | ~continues
        output: UnmaskingSchedulerOutput = self.step(
            model_output, timestep, sample.masked_fill(is_open, mask), mask_token_id=mask, **arguments
        )
        decided = output.prev_sample
        is_open = decided == mask
        if self._asked_steps is not None and int(timestep) + 1 >= self._asked_steps:
            decided = torch.where(is_open, output.sampled_tokens, decided)
            is_open = torch.zeros_like(is_open)
        noise = random_tokens(mask, sample.shape, arguments["generator"], device)
        output.prev_sample = torch.where(is_open, noise, decided)
        output.pred_logits = self._self_conditioning(model_output, timestep)
        self._canvas = output.prev_sample.clone(), is_open
        return output if return_dict else output.to_tuple()

    def _self_conditioning(self, model_output: Tensor, timestep: int | Tensor) -> Tensor:
        """What a model with self-conditioning is told of its own logits."""
        return model_output


def random_tokens(vocab_size: int, shape: Any, generator: Generators, device: torch.device) -> Tensor:
    """Tokens drawn evenly, long; row by row where `generator` is a list, and zeros in a row whose entry is None.

    Args:
        vocab_size: they lie below it.
        shape: of the tokens; its first number is the batch where `generator` is a list.
        generator: one for all, or a list with one per row.
        device: where they go.
    """
    if generator is None or isinstance(generator, torch.Generator):
        home = device if generator is None else generator.device
        return torch.randint(vocab_size, tuple(shape), generator=generator, device=home).to(device)
    rows = [
        torch.zeros(tuple(shape[1:]), dtype=torch.long, device=device)
        if source is None
        else random_tokens(vocab_size, shape[1:], source, device)
        for source in generator
    ]
    return torch.stack(rows)
