"""Calls a scheduler as it wants to be called: ours by their contract, diffusers' own as its pipelines do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..schedulers.views import JUST_LOGITS, ModelView, Wants
from .inputs import GenerationArguments


def driver_for(arguments: GenerationArguments) -> SchedulerDriver:
    """The driver of a scheduler: one with a method `start_block` follows the contract of `UnmaskingScheduler`.

    Raises:
        ValueError: the scheduler cannot do what is asked for.
    """
    scheduler = arguments.scheduler
    if isinstance(scheduler, type) or not (hasattr(scheduler, "set_timesteps") and hasattr(scheduler, "step")):
        made = f"{scheduler.__name__} itself" if isinstance(scheduler, type) else repr(scheduler)
        raise ValueError(
            f"scheduler is {made}; it should be an object such as samplers.EntropyScheduler(k=4), of a class of ours, "
            "of one derived from samplers.UnmaskingScheduler, or diffusers' BlockRefinementScheduler"
        )
    ours = hasattr(arguments.scheduler, "start_block")
    return SchedulerDriver(arguments) if ours else PipelineSchedulerDriver(arguments)


class SchedulerDriver:
    """One scheduler of the contract of `UnmaskingScheduler` during one generation.

    Attributes:
        name: of its class, for messages.
        scope: "window", or "sequence" where the scheduler wants to see all that was generated.
        wants: what it reads of each look at the model.
    """

    def __init__(self, arguments: GenerationArguments) -> None:
        self.scheduler = arguments.scheduler
        self.name = type(self.scheduler).__name__
        self.scope: str = getattr(self.scheduler, "scope", "window")
        self.wants: Wants = getattr(self.scheduler, "wants", JUST_LOGITS)
        if arguments.temperature:
            # Drawing takes the whole distribution.
            self.wants = replace(self.wants, logits=True)
        shaping = {name: getattr(arguments, name) for name in ("temperature", "top_p", "top_k")}
        #: Of the proposals; handed to every step.
        self._shaping = {name: value for name, value in shaping.items() if value is not None}

    def set_timesteps(self, device: torch.device, block_length: int) -> None:
        """Prepare for a generation in blocks of `block_length` tokens."""
        self.scheduler.set_timesteps(device=device, block_length=block_length)

    @property
    def steps_per_block(self) -> int:
        """Entries of the scheduler's schedule."""
        return len(self.scheduler.timesteps)

    def start_block(self) -> None:
        """Tell the scheduler that a new block begins."""
        self.scheduler.start_block()

    def timestep(self, block_step: int) -> Any:
        """What the step that is number `block_step` of its block is called by."""
        timesteps = self.scheduler.timesteps
        return timesteps[min(block_step, len(timesteps) - 1)]

    def step(
        self,
        view: ModelView,
        timestep: Any,
        sample: Tensor,
        *,
        mask_token_id: int,
        generator: Any,
        prompt_mask: Tensor | None,
        token_discounts: dict[int, Tensor] | None,
    ) -> Any:
        """One step.

        Args:
            view: what the model says of the window.
            timestep: from `timestep`.
            sample: (batch, window), long.
            mask_token_id: what marks an open position.
            generator: source of noise, or a list with one per row.
            prompt_mask: bool (batch, window), positions that must stay as they are; None where none must.
            token_discounts: token id → factor of its confidence, (batch,).

        Returns:
            The scheduler's output.
        """
        extra: dict[str, Any] = dict(self._shaping)
        if prompt_mask is not None:
            extra["prompt_mask"] = prompt_mask
        if token_discounts is not None:
            extra["token_discounts"] = token_discounts
        return self.scheduler.step(
            view.model_output, timestep, sample, mask_token_id=mask_token_id, generator=generator, **extra
        )


class PipelineSchedulerDriver(SchedulerDriver):
    """Any other scheduler, such as diffusers' `BlockRefinementScheduler`, driven as `LLaDA2Pipeline` drives it.

    `set_timesteps` gets the number of steps that the scheduler was made with, steps of a block are counted up from 0,
    and the mask token is kept out of its proposals here, because it does not do that itself.

    Raises:
        ValueError: generators per row, or a discount of end tokens.
    """

    def __init__(self, arguments: GenerationArguments) -> None:
        super().__init__(arguments)
        if isinstance(arguments.generator, Sequence):
            raise ValueError(f"{self.name} draws from one generator for the batch; it takes no list with one per row")
        if arguments.eos_handling == "discount":
            raise ValueError(f'{self.name} has no discount of end tokens; eos_handling can be "ban" or "fill"')

    def set_timesteps(self, device: torch.device, block_length: int) -> None:
        self.scheduler.set_timesteps(self.scheduler.num_inference_steps, device=device, block_length=block_length)

    def start_block(self) -> None:
        """Such a scheduler has no blocks."""

    def timestep(self, block_step: int) -> Any:
        return block_step

    def step(self, view: ModelView, timestep: Any, sample: Tensor, *, mask_token_id: int, **arguments: Any) -> Any:
        logits = view.logits
        assert logits is not None
        if 0 <= mask_token_id < logits.shape[-1]:
            logits = logits.clone()
            logits[..., mask_token_id] = -torch.inf
        return self.scheduler.step(
            logits,
            timestep,
            sample,
            mask_token_id=mask_token_id,
            generator=arguments["generator"],
            **self._shaping,
        )


def invalid_rows(output: Any, masked: Tensor) -> Tensor:
    """Rows, bool (batch,), whose scores were not finite at a position of `masked`, bool (batch, window)."""
    invalid: Tensor | None = getattr(output, "invalid", None)
    return invalid if invalid is not None else (masked & ~output.sampled_probs.isfinite()).any(dim=1)


def describe_invalid(
    view: ModelView, sample: Tensor, invalid: Tensor, mask_token_id: int, start: int, step: int
) -> str:
    """One line that names the first such row and its first position whose logits (batch, window, vocab) are broken."""
    row = int(invalid.nonzero()[0])
    if view.logits is None:
        assert view.proposal is not None
        usable = view.proposal.confidence[row].isfinite()
    else:
        values = view.logits[row].float().clone()
        if 0 <= mask_token_id < values.shape[-1]:
            values[:, mask_token_id] = -torch.inf
        usable = values.softmax(dim=-1).isfinite().all(dim=-1)
    broken = ((sample[row] == mask_token_id) & ~usable).nonzero()
    where = f"position {start + int(broken[0])}" if len(broken) else "a masked position"
    return (
        f"step {step}: the scores of row {row} are not finite at {where} "
        "(the logits there hold NaN, +inf or nothing but -inf)"
    )
