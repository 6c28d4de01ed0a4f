"""Calls a scheduler as it wants to be called: ours by their contract, diffusers' own as its pipelines do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class SchedulerDriver:
    """One scheduler during one generation.

    A scheduler with a method `start_block` follows the contract of `UnmaskingScheduler`. Any other, such as diffusers'
    `BlockRefinementScheduler`, is driven as `LLaDA2Pipeline` drives it: `set_timesteps` gets the number of steps that
    the scheduler was made with, steps of a block are counted up from 0, and the mask token is kept out of its
    proposals here, because it does not do that itself.

    Args:
        scheduler: what decides.
        shaping: `temperature`, `top_p` and `top_k` of the proposals, handed to every step; those that are None are not.

    Attributes:
        scope: "window", or "sequence" where the scheduler wants to see all that was generated.
        needs_shadows: whether the scheduler wants logits at shadow tokens (see `samplers.shadows`).
    """

    def __init__(self, scheduler: Any, shaping: dict[str, Any]) -> None:
        self.scheduler = scheduler
        self.name = type(scheduler).__name__
        self.scope: str = getattr(scheduler, "scope", "window")
        self.needs_shadows: bool = getattr(scheduler, "needs_shadows", False)
        self._ours = hasattr(scheduler, "start_block")
        self._shaping = {name: value for name, value in shaping.items() if value is not None}

    def check(self, generator: Any, discounted: bool) -> None:
        """Refuse what a scheduler that is none of ours cannot do.

        Raises:
            ValueError: generators per row, or a discount of end tokens, for such a scheduler.
        """
        if self._ours:
            return
        if isinstance(generator, Sequence):
            raise ValueError(f"{self.name} draws from one generator for the batch; it takes no list with one per row")
        if discounted:
            raise ValueError(f'{self.name} knows no discount of end tokens; eos_handling can be "ban" or "fill"')

    def set_timesteps(self, device: torch.device, block_length: int) -> None:
        """Prepare for a generation in blocks of `block_length` tokens."""
        if self._ours:
            self.scheduler.set_timesteps(device=device, block_length=block_length)
        else:
            self.scheduler.set_timesteps(self.scheduler.num_inference_steps, device=device, block_length=block_length)

    @property
    def steps_per_block(self) -> int:
        """Entries of the scheduler's schedule."""
        return len(self.scheduler.timesteps)

    def start_block(self) -> None:
        """Tell the scheduler that a new block begins."""
        if self._ours:
            self.scheduler.start_block()

    def timestep(self, block_step: int) -> Any:
        """What the step that is number `block_step` of its block is called by."""
        timesteps = self.scheduler.timesteps
        return timesteps[min(block_step, len(timesteps) - 1)] if self._ours else block_step

    def step(
        self,
        logits: Tensor,
        timestep: Any,
        sample: Tensor,
        *,
        mask_token_id: int,
        generator: Any,
        held: Tensor | None,
        token_discounts: dict[int, Tensor] | None,
        shadow_output: Tensor | None,
    ) -> Any:
        """One step.

        Args:
            logits: (batch, window, vocab).
            timestep: from `timestep`.
            sample: (batch, window), long.
            mask_token_id: what marks an open position.
            generator: source of noise, or a list with one per row.
            held: bool (batch, window), positions that must stay as they are; None where none must.
            token_discounts: token id → factor of its confidence, (batch,).
            shadow_output: (batch, window, vocab), for a scheduler that needs it.

        Returns:
            The scheduler's output.
        """
        extra: dict[str, Any] = dict(self._shaping)
        if self._ours and held is not None:
            extra["prompt_mask"] = held
        if token_discounts is not None:
            extra["token_discounts"] = token_discounts
        if shadow_output is not None:
            extra["shadow_output"] = shadow_output
        if not self._ours and 0 <= mask_token_id < logits.shape[-1]:
            logits = logits.clone()
            logits[..., mask_token_id] = -torch.inf
        return self.scheduler.step(logits, timestep, sample, mask_token_id=mask_token_id, generator=generator, **extra)


def invalid_rows(output: Any, masked: Tensor) -> Tensor:
    """Rows, bool (batch,), whose scores were not finite at a position of `masked`, bool (batch, window)."""
    invalid: Tensor | None = getattr(output, "invalid", None)
    return invalid if invalid is not None else (masked & ~output.sampled_probs.isfinite()).any(dim=1)


def describe_invalid(logits: Tensor, sample: Tensor, invalid: Tensor, mask_token_id: int, start: int, step: int) -> str:
    """One line that names the first such row and its first position whose logits (batch, window, vocab) are broken."""
    row = int(invalid.nonzero()[0])
    values = logits[row].float().clone()
    if 0 <= mask_token_id < values.shape[-1]:
        values[:, mask_token_id] = -torch.inf
    usable = values.softmax(dim=-1).isfinite().all(dim=-1)
    broken = ((sample[row] == mask_token_id) & ~usable).nonzero()
    place = f"position {start + int(broken[0])}" if len(broken) else "a masked position"
    return (
        f"step {step}: the scores of row {row} are not finite at {place} "
        "(the logits there hold NaN, +inf or nothing but -inf)"
    )
