"""The loop: forward pass, scheduler step, until nothing is masked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from .denoisers import DecodingSession, SessionRequest, denoiser_for, open_session
from .driving import SchedulerDriver, describe_invalid, invalid_rows
from .end_tokens import EOS_DISCOUNT, end_tokens
from .guidance import GuidedSession, look
from .inputs import check_inputs, find_mask_token_id, prepare_answer
from .layout import grid_layout, plain_layout
from .outputs import GenerationOutput, GenerationStep
from .schedulers.validation import check_range

Callback = Callable[[int, Any, dict[str, Tensor]], dict[str, Tensor] | None]


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
    prefill: Tensor | None = None,
    cfg_scale: float = 0.0,
    eos_token_id: int | Sequence[int] | None = None,
    stop_at_eos: bool = False,
    eos_handling: str | None = None,
    eos_discount: float | tuple[float, float] = EOS_DISCOUNT,
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    generator: torch.Generator | Sequence[torch.Generator | None] | None = None,
    callback_on_step_end: Callback | None = None,
    return_trajectory: bool = False,
    cache: str | None = None,
) -> GenerationOutput:
    """Decode `max_new_tokens` tokens after each prompt with an unmasking scheduler.

    By default every one of the new positions is decoded, end tokens included, and counts in the number of forward
    passes.

    Args:
        model: any callable whose output has `.logits`, or a `Denoiser`; see `denoiser_for`.
        input_ids: (batch, prompt), long; shorter prompts are padded on the left and marked in `attention_mask`.
            Mask tokens in a prompt stay what they are.
        scheduler: an `UnmaskingScheduler`, or diffusers' `BlockRefinementScheduler`.
        max_new_tokens: length of every answer.
        block_length: length of the blocks that are decoded one after the other, from the left; the last may be shorter.
            None means the model's own where it has one, else a single block. Blocks of a block-causal model are counted
            from the first token of each prompt: the first may begin with the prompt's last tokens.
        attention_mask: (batch, prompt), 1 for tokens and 0 for padding.
        mask_token_id: taken from the model or its config if not given.
        prefill: (batch, at most `max_new_tokens`), long: a partly masked answer. What is no mask token stays, whatever
            the scheduler revises; what is, and all behind the end of `prefill`, is decoded.
        cfg_scale: strength of classifier-free guidance, at least 0: logits become u + (1 + scale) (c - u), c with the
            prompt and u with mask tokens in its place. Above 0 a step takes two forward passes, and counts as two.
        eos_token_id: the end token, or several; taken from the model or its config if not given. Used only by the
            arguments below; the first fills.
        stop_at_eos: once a block with an end token is decoded, fill the rest of the row with end tokens instead of
            decoding it.
        eos_handling: "ban" never proposes an end token; "discount" multiplies the confidence of proposed end tokens by
            `eos_discount`, so that they are committed later (orders that ignore the confidence do not change); "fill"
            fills all masks behind a row's first end token at once, in this block and those to come, and a method that
            remembers its steps starts afresh in that row. None does nothing.
        eos_discount: one factor in [0, 1], or a pair: the first holds while the answer is all masked, the second once
            nothing is, with the share of masks deciding in between.
        temperature, top_p, top_k: of the proposals, where the scheduler's constructor left its own at None.
        generator: one generator for the batch, or a list with one per row; with a list, every row is decoded as it
            would be alone.
        callback_on_step_end: called with the number of the step, the timestep and {"sample": the generated region,
            (batch, new)} after every step; may return {"sample": ...} to go on with another one.
        return_trajectory: keep the generated region after every step.
        cache: an approximate cache of keys and values that the model's adapter offers; None keeps only what is exact.

    Raises:
        ValueError: an argument is out of range, nobody names the mask token (or the end token, where it is needed), the
            scores of a row are not finite (NaN logits; the message names row and position), or the scheduler stops
            making progress.
    """
    decoding = Decoding(
        model,
        input_ids,
        scheduler=scheduler,
        max_new_tokens=max_new_tokens,
        block_length=block_length,
        attention_mask=attention_mask,
        mask_token_id=mask_token_id,
        prefill=prefill,
        cfg_scale=cfg_scale,
        eos_token_id=eos_token_id,
        stop_at_eos=stop_at_eos,
        eos_handling=eos_handling,
        eos_discount=eos_discount,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        generator=generator,
        callback_on_step_end=callback_on_step_end,
        cache=cache,
    )
    trajectory = []
    for step in decoding.steps():
        if return_trajectory:
            trajectory.append(step.sample)
    return GenerationOutput(
        decoding.sequences,
        decoding.num_forward_passes,
        decoding.num_skipped_tokens,
        trajectory if return_trajectory else None,
    )


def stream(model: Any, input_ids: Tensor, *, scheduler: Any, **options: Any) -> Iterator[GenerationStep]:
    """Decode as `generate` does, handing out the state after each step while the decoding goes on.

    Args:
        model, input_ids, scheduler: as for `generate`.
        options: any other argument of `generate` but `return_trajectory`.

    Returns:
        An iterator over `GenerationStep`; the last one holds the finished answer. Stopping early costs nothing.

    Raises:
        ValueError: as `generate` does; what concerns the arguments at once, not with the first step.
    """
    return Decoding(model, input_ids, scheduler=scheduler, **options).steps()


class Decoding:
    """One generation: validated arguments, and the state while it goes on.

    Args:
        Those of `generate`, but for `return_trajectory`.

    Attributes:
        num_forward_passes, num_skipped_tokens: (batch,), long: so far; see `GenerationOutput`.
    """

    def __init__(
        self,
        model: Any,
        input_ids: Tensor,
        *,
        scheduler: Any,
        max_new_tokens: int = 32,
        block_length: int | None = None,
        attention_mask: Tensor | None = None,
        mask_token_id: int | None = None,
        prefill: Tensor | None = None,
        cfg_scale: float = 0.0,
        eos_token_id: int | Sequence[int] | None = None,
        stop_at_eos: bool = False,
        eos_handling: str | None = None,
        eos_discount: float | tuple[float, float] = EOS_DISCOUNT,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        generator: torch.Generator | Sequence[torch.Generator | None] | None = None,
        callback_on_step_end: Callback | None = None,
        cache: str | None = None,
    ) -> None:
        denoiser = denoiser_for(model)
        self._mask = find_mask_token_id(mask_token_id, denoiser)
        attention_mask = check_inputs(input_ids, attention_mask, max_new_tokens, block_length, generator)
        check_range("cfg_scale", cfg_scale, 0, torch.inf, "a finite number of at least 0", upper_open=True)
        answer = prepare_answer(prefill, input_ids, max_new_tokens, self._mask)
        self._end_tokens = end_tokens(
            eos_token_id,
            model,
            stop=stop_at_eos,
            handling=eos_handling,
            discount=eos_discount,
            device=input_ids.device,
        )
        self._driver = SchedulerDriver(scheduler, {"temperature": temperature, "top_p": top_p, "top_k": top_k})
        self._driver.check(generator, discounted=eos_handling == "discount")
        self._generator, self._callback = generator, callback_on_step_end

        self._prompts, self._grid = input_ids, getattr(denoiser, "grid_length", None)
        self._block_length = block_length or denoiser.block_length or max_new_tokens
        if self._grid is None:
            self._block_length = min(self._block_length, max_new_tokens)
            self._layout = plain_layout(input_ids, attention_mask, answer, self._mask)
        else:
            self._layout = grid_layout(
                input_ids, attention_mask, answer, self._mask, grid=self._grid, block_length=self._block_length
            )
        self._columns = self._layout.sequences
        self._given = self._layout.fixed
        if prefill is not None:
            prefilled = self._layout.in_blocks(answer != self._mask)
            self._given = prefilled if self._given is None else self._given | prefilled
        self.num_forward_passes = torch.zeros(len(input_ids), dtype=torch.long, device=input_ids.device)
        self.num_skipped_tokens = torch.zeros_like(self.num_forward_passes)
        request = SessionRequest(
            self._layout.attention_mask,
            self._layout.start,
            self._block_length,
            revises_blocks=self._driver.scope == "sequence",
            cache=cache,
            mask_token_id=self._mask,
        )
        self._passes_per_step = 2 if cfg_scale else 1
        self._session: DecodingSession = (
            GuidedSession(denoiser, request, cfg_scale, self._mask, self._layout.prompts)
            if cfg_scale
            else open_session(denoiser, request)
        )

    @property
    def sequences(self) -> Tensor:
        """(batch, prompt + new), long: prompts as they were given, and the answers as far as they are decoded."""
        return torch.cat([self._prompts, self._answer()], dim=1)

    @torch.no_grad()
    def steps(self) -> Iterator[GenerationStep]:
        """Decode; yields after every step. To be called once."""
        driver, number = self._driver, 0
        driver.set_timesteps(self._columns.device, self._block_length)
        for start, stop in self._windows():
            driver.start_block()
            unfinished, anything_left = self._unfinished_rows(start, stop)
            if not anything_left:
                return
            idle_steps = block_step = 0
            while any(unfinished):
                logits, shadows = look(self._session, self._seen(), start, stop, shadows=driver.needs_shadows)
                logits = self._end_tokens.adjust(logits)
                before = self._columns
                window = before[:, start:stop]
                masked = window == self._mask
                held = self._held(window, start, stop)
                timestep = driver.timestep(block_step)
                output = driver.step(
                    logits,
                    timestep,
                    window,
                    mask_token_id=self._mask,
                    generator=_noise_sources(self._generator, unfinished),
                    held=held,
                    shadow_output=shadows,
                    token_discounts=self._end_tokens.discounts(self._answer(), self._mask),
                )
                self.num_forward_passes = self.num_forward_passes + masked.any(dim=1) * self._passes_per_step
                decided = output.prev_sample if held is None else torch.where(held, window, output.prev_sample)
                self._columns = torch.cat([before[:, :start], decided, before[:, stop:]], dim=1)
                self._fill(self._end_tokens.fill_behind)
                if self._callback is not None:
                    self._set_answer(_call_back(self._callback, number, timestep, self._answer()))

                # The one look at the device per step: which rows go on, is anything broken, did anything happen.
                invalid, masks_left = invalid_rows(output, masked), self._columns[:, start:stop] == self._mask
                flags = [masks_left.any(dim=1), invalid.any().unsqueeze(0), (decided != window).any().unsqueeze(0)]
                *unfinished, any_invalid, any_change = torch.cat(flags).tolist()
                if any_invalid:
                    raise ValueError(
                        describe_invalid(logits, window, invalid, self._mask, self._position(start, invalid), number)
                    )
                idle_steps = 0 if any_change else idle_steps + 1
                if idle_steps > driver.steps_per_block:
                    raise ValueError(_describe_idleness(driver.name, idle_steps, unfinished))
                yield self._step(number, timestep, before, output, start, stop)
                block_step, number = block_step + 1, number + 1
            self._session.end_block(self._seen(), start, stop)
            self._fill(self._end_tokens.fill_stopped, self._layout.decoded(stop))

    def _seen(self) -> Tensor:
        """The columns as the model sees them."""
        return self._layout.for_model(self._columns)

    def _position(self, column: int, invalid: Tensor) -> int:
        """The position, counted in the sequences as they were given, of a column of the first invalid row."""
        decoded = self._layout.decoded(column)
        first = decoded if isinstance(decoded, int) else int(decoded[invalid.nonzero()[0], 0])
        return self._prompts.shape[1] + first

    def _windows(self) -> Iterator[tuple[int, int]]:
        """First and last-plus-one column of what the scheduler sees of each block."""
        length = self._columns.shape[1]
        for block_start in range(self._layout.start, length, self._block_length):
            start = self._layout.start if self._driver.scope == "sequence" else block_start
            yield start, min(block_start + self._block_length, length)

    def _unfinished_rows(self, start: int, stop: int) -> tuple[list[bool], bool]:
        """Which rows have something to decode in a block whose turn has come; whether any has, in it or behind it."""
        if self._given is None and self._callback is None and not self._end_tokens.fills:
            # Nobody can have filled a block before its turn, so that there is no need to ask the device.
            return [True] * len(self._columns), True
        masks = self._columns[:, start:] == self._mask
        flags = [masks[:, : stop - start].any(dim=1), masks.any().unsqueeze(0)]
        *unfinished, anything_left = torch.cat(flags).tolist()
        return unfinished, anything_left

    def _held(self, window: Tensor, start: int, stop: int) -> Tensor | None:
        """Positions of the window that must stay, bool (batch, window); None where nothing was given beforehand."""
        if self._given is None:
            return None
        # A callback may have masked a given token again.
        return self._given[:, start - self._layout.start : stop - self._layout.start] & (window != self._mask)

    def _answer(self) -> Tensor:
        return self._layout.answers(self._columns)

    def _set_answer(self, answer: Tensor) -> None:
        self._columns = self._layout.with_answers(self._columns, answer)

    def _fill(self, fill: Callable[..., Tensor], *arguments: Any) -> None:
        """Let a rule for end tokens fill masks, and count what it filled."""
        answer = self._answer()
        filled = fill(answer, self._mask, *arguments)
        if filled is not answer:
            self.num_skipped_tokens = self.num_skipped_tokens + (filled != answer).sum(dim=1)
            self._set_answer(filled)

    def _step(self, number: int, timestep: Any, before: Tensor, output: Any, start: int, stop: int) -> GenerationStep:
        return GenerationStep(
            number=number,
            timestep=timestep,
            before=self._layout.answers(before).clone(),
            sample=self._answer().clone(),
            window=(start - self._layout.start, stop - self._layout.start),
            tails=self._layout.tails,
            num_forward_passes=self.num_forward_passes.clone(),
            num_skipped_tokens=self.num_skipped_tokens.clone(),
            mask_token_id=self._mask,
            output=output,
        )


def _noise_sources(generator: Any, unfinished: list[bool]) -> Any:
    """A row whose window is finished draws no noise, so that its stream is the one it has alone."""
    if not isinstance(generator, Sequence):
        return generator
    return [source if going_on else None for source, going_on in zip(generator, unfinished, strict=True)]


def _call_back(callback: Callback, step: int, timestep: Any, answer: Tensor) -> Tensor:
    """The answers, (batch, new), that the callback wants to go on with."""
    changed = callback(step, timestep, {"sample": answer.clone()})
    if not changed or "sample" not in changed:
        return answer
    sample = changed["sample"]
    if not isinstance(sample, Tensor) or sample.is_floating_point():
        raise TypeError(f"the callback returned a sample that is {type(sample).__name__}; it should be a tensor of ids")
    if sample.shape != answer.shape:
        raise ValueError(
            f"the callback returned a sample of shape {tuple(sample.shape)}; it should be the one it was given, "
            f"{tuple(answer.shape)}"
        )
    return sample.to(answer)


def _describe_idleness(scheduler: str, idle_steps: int, unfinished: list[bool]) -> str:
    rows = [row for row, left in enumerate(unfinished) if left]
    return (
        f"{scheduler} changed nothing in {idle_steps} steps, with masked tokens left in rows {rows}; "
        "every step has to commit at least one"
    )
