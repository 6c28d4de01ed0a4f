"""The loop: forward pass, scheduler step, until nothing is masked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .denoisers import DecodingSession, Denoiser, SessionRequest, denoiser_for, open_session
from .schedulers.validation import check_count

Callback = Callable[[int, Any, dict[str, Tensor]], dict[str, Tensor] | None]


@dataclass
class GenerationOutput:
    """What `generate` returns.

    Attributes:
        sequences: (batch, prompt + new), long: prompts as they were given, followed by what was generated.
        num_forward_passes: (batch,), long: forward passes in which a row still had something to decode (its NFE).
        trajectory: the generated region after each step, each (batch, new), if asked for. A row that is finished
            repeats its state while the others go on.
    """

    sequences: Tensor
    num_forward_passes: Tensor
    trajectory: list[Tensor] | None = None


@torch.no_grad()
def generate(
    model: Any,
    input_ids: Tensor,
    *,
    scheduler: Any,
    max_new_tokens: int = 32,
    block_length: int | None = None,
    attention_mask: Tensor | None = None,
    mask_token_id: int | None = None,
    generator: torch.Generator | Sequence[torch.Generator | None] | None = None,
    callback_on_step_end: Callback | None = None,
    return_trajectory: bool = False,
    cache: str | None = None,
) -> GenerationOutput:
    """Decode `max_new_tokens` tokens after each prompt with an unmasking scheduler.

    Every one of the new positions is decoded, end tokens included, and counts in the number of forward passes.

    Args:
        model: any callable whose output has `.logits`, or a `Denoiser`; see `denoiser_for`.
        input_ids: (batch, prompt), long; shorter prompts are padded on the left and marked in `attention_mask`.
            Mask tokens in a prompt stay what they are.
        scheduler: an `UnmaskingScheduler`.
        max_new_tokens: length of every answer.
        block_length: length of the blocks that are decoded one after the other, from the left; the last may be shorter.
            None means the model's own where it has one, else a single block.
        attention_mask: (batch, prompt), 1 for tokens and 0 for padding.
        mask_token_id: taken from the model or its config if not given.
        generator: one generator for the batch, or a list with one per row; with a list, every row is decoded as it
            would be alone.
        callback_on_step_end: called with the number of the step, the timestep and {"sample": the generated region,
            (batch, new)} after every step; may return {"sample": ...} to go on with another one.
        return_trajectory: keep the generated region after every step.
        cache: an approximate cache of keys and values that the model's adapter offers; None keeps only what is exact.

    Raises:
        ValueError: an argument is out of range, nobody names the mask token, the scores of a row are not finite (NaN
            logits; the message names row and position), or the scheduler stops making progress.
    """
    denoiser = denoiser_for(model)
    mask_token_id = _mask_token_id(mask_token_id, denoiser)
    attention_mask = _check_inputs(input_ids, attention_mask, max_new_tokens, block_length, generator)
    batch, prompt_length = input_ids.shape
    length = prompt_length + max_new_tokens
    block_length = min(block_length or denoiser.block_length or max_new_tokens, max_new_tokens)

    answer = input_ids.new_full((batch, max_new_tokens), mask_token_id)
    sequences = torch.cat([input_ids, answer], dim=1)
    if attention_mask is not None:
        attention_mask = torch.cat([attention_mask, attention_mask.new_ones(batch, max_new_tokens)], dim=1)
    num_forward_passes = torch.zeros(batch, dtype=torch.long, device=input_ids.device)
    trajectory: list[Tensor] = []
    keeps_all = getattr(scheduler, "scope", "window") == "sequence"
    needs_shadows = getattr(scheduler, "needs_shadows", False)
    step_number = 0

    session = open_session(
        denoiser,
        SessionRequest(
            attention_mask,
            prompt_length,
            block_length,
            revises_blocks=keeps_all,
            cache=cache,
            mask_token_id=mask_token_id,
        ),
    )
    scheduler.set_timesteps(device=input_ids.device, block_length=block_length)
    for block_start in range(prompt_length, length, block_length):
        start, stop = prompt_length if keeps_all else block_start, min(block_start + block_length, length)
        if hasattr(scheduler, "start_block"):
            scheduler.start_block()
        unfinished = [True] * batch
        if callback_on_step_end is not None:
            # Only a callback can have filled a block before its turn.
            unfinished = (sequences[:, start:stop] == mask_token_id).any(dim=1).tolist()
        idle_steps = 0
        block_step = 0
        while any(unfinished):
            logits, shadows = _look(session, sequences, start, stop, needs_shadows)
            num_forward_passes += (sequences[:, start:stop] == mask_token_id).any(dim=1)
            timestep = scheduler.timesteps[min(block_step, len(scheduler.timesteps) - 1)]
            output = scheduler.step(
                logits,
                timestep,
                sequences[:, start:stop],
                mask_token_id=mask_token_id,
                generator=_noise_sources(generator, unfinished),
                **shadows,
            )
            changed = (output.prev_sample != sequences[:, start:stop]).any()
            before, sequences = sequences, sequences.clone()
            sequences[:, start:stop] = output.prev_sample
            if callback_on_step_end is not None:
                sequences = _call_back(callback_on_step_end, step_number, timestep, sequences, prompt_length)
            if return_trajectory:
                trajectory.append(sequences[:, prompt_length:].clone())

            # The one look at the device per step: which rows go on, is anything broken, did anything happen.
            masks_left = (sequences[:, start:stop] == mask_token_id).any(dim=1)
            invalid = getattr(output, "invalid", None)
            invalid = torch.zeros_like(masks_left) if invalid is None else invalid
            *flags, any_invalid, any_change = torch.cat(
                [masks_left, invalid.any().unsqueeze(0), changed.unsqueeze(0)]
            ).tolist()
            if any_invalid:
                raise ValueError(
                    _describe_invalid(logits, before[:, start:stop], invalid, mask_token_id, start, step_number)
                )
            idle_steps = 0 if any_change else idle_steps + 1
            if idle_steps > len(scheduler.timesteps):
                raise ValueError(
                    f"{type(scheduler).__name__} changed nothing in {idle_steps} steps, with masked tokens left in "
                    f"rows {[row for row, left in enumerate(flags) if left]}; every step has to commit at least one"
                )
            unfinished = flags
            block_step += 1
            step_number += 1
        session.end_block(sequences, start, stop)
    return GenerationOutput(sequences, num_forward_passes, trajectory if return_trajectory else None)


def _look(
    session: DecodingSession, sequences: Tensor, start: int, stop: int, needs_shadows: bool
) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits of the window, and what else `step` is to be given: logits at shadow tokens, for a scheduler that asks."""
    if not needs_shadows:
        return session.window_logits(sequences, start, stop), {}
    shadow_logits = getattr(session, "shadow_logits", None)
    if shadow_logits is None:
        raise ValueError(
            f"{type(session).__name__} has no shadow tokens, which this scheduler needs; use another cache"
        )
    logits, shadows = shadow_logits(sequences, start, stop)
    return logits, {"shadow_output": shadows}


def _mask_token_id(given: int | None, denoiser: Denoiser) -> int:
    found = given if given is not None else denoiser.mask_token_id
    if found is None:
        raise ValueError("mask_token_id is not known: neither the model nor its config has one; pass mask_token_id=")
    return found


def _check_inputs(
    input_ids: Tensor,
    attention_mask: Tensor | None,
    max_new_tokens: int,
    block_length: int | None,
    generator: Any,
) -> Tensor | None:
    """Validate; returns the attention mask, or None where nothing is padded."""
    if not isinstance(input_ids, Tensor):
        raise TypeError(f"input_ids is a {type(input_ids).__name__}; it should be a tensor (batch, prompt), long")
    if input_ids.dim() != 2 or input_ids.dtype != torch.long:
        raise ValueError(
            f"input_ids has shape {tuple(input_ids.shape)} and dtype {input_ids.dtype}; "
            "it should be (batch, prompt), long"
        )
    check_count("max_new_tokens", max_new_tokens, optional=False)
    check_count("block_length", block_length)
    if isinstance(generator, Sequence) and len(generator) != len(input_ids):
        raise ValueError(f"got {len(generator)} generators for a batch of {len(input_ids)} rows; give one per row")
    if attention_mask is None:
        return None
    if attention_mask.shape != input_ids.shape:
        raise ValueError(
            f"attention_mask has shape {tuple(attention_mask.shape)}; "
            f"it should be that of input_ids, {tuple(input_ids.shape)}"
        )
    padding = attention_mask == 0
    # Left padding: once a token is real, all that follow are.
    if bool((padding[:, 1:] & ~padding[:, :-1]).any()) or bool(padding[:, -1:].any()):
        raise ValueError("attention_mask marks padding after a token; prompts are padded on the left")
    return attention_mask if bool(padding.any()) else None


def _noise_sources(generator: Any, unfinished: list[bool]) -> Any:
    """A row whose window is finished draws no noise, so that its stream is the one it has alone."""
    if not isinstance(generator, Sequence):
        return generator
    return [source if going_on else None for source, going_on in zip(generator, unfinished, strict=True)]


def _call_back(callback: Callback, step: int, timestep: Any, sequences: Tensor, prompt_length: int) -> Tensor:
    changed = callback(step, timestep, {"sample": sequences[:, prompt_length:].clone()})
    if not changed or "sample" not in changed:
        return sequences
    sample = changed["sample"]
    if not isinstance(sample, Tensor) or sample.is_floating_point():
        raise TypeError(f"the callback returned a sample that is {type(sample).__name__}; it should be a tensor of ids")
    if sample.shape != sequences[:, prompt_length:].shape:
        raise ValueError(
            f"the callback returned a sample of shape {tuple(sample.shape)}; it should be the one it was given, "
            f"{tuple(sequences[:, prompt_length:].shape)}"
        )
    return torch.cat([sequences[:, :prompt_length], sample.to(sequences)], dim=1)


def _describe_invalid(
    logits: Tensor, sample: Tensor, invalid: Tensor, mask_token_id: int, start: int, step: int
) -> str:
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
