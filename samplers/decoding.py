"""The loop: forward pass, scheduler step, until nothing is masked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from .denoisers import DecodingSession, SessionRequest, denoiser_for, open_session
from .driving import SchedulerDriver, describe_invalid, invalid_rows
from .end_tokens import end_tokens
from .guidance import GuidedSession, look
from .inputs import check_inputs, find_mask_token_id, prepare_answer
from .layout import grid_layout, plain_layout
from .outputs import GenerationStep
from .schedulers.validation import check_range

Callback = Callable[[int, Any, dict[str, Tensor]], dict[str, Tensor] | None]


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
        eos_discount: float | tuple[float, float] = (0.4, 1.0),
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
            unsettled: Tensor | None = None
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
                looking = masked.any(dim=1) if unsettled is None else masked.any(dim=1) | unsettled
                self.num_forward_passes = self.num_forward_passes + looking * self._passes_per_step
                unsettled = getattr(output, "unsettled", None)
                decided = output.prev_sample if held is None else torch.where(held, window, output.prev_sample)
                self._columns = torch.cat([before[:, :start], decided, before[:, stop:]], dim=1)
                self._fill(self._end_tokens.fill_behind)
                if self._callback is not None:
                    self._let_change(_call_back(self._callback, number, timestep, self._answer()))

                # The one look at the device per step: which rows go on, is anything broken, did anything happen.
                invalid, masks_left = invalid_rows(output, masked), self._columns[:, start:stop] == self._mask
                going_on = masks_left.any(dim=1) if unsettled is None else masks_left.any(dim=1) | unsettled
                flags = [going_on, invalid.any().unsqueeze(0), (decided != window).any().unsqueeze(0)]
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

    def _let_change(self, answer: Tensor | None) -> None:
        """Go on with the answers that a callback returned, if any; they may differ wherever it likes."""
        if answer is not None:
            self._set_answer(answer)
            if hasattr(self._session, "forget"):
                self._session.forget()

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


def _call_back(callback: Callback, step: int, timestep: Any, answer: Tensor) -> Tensor | None:
    """The answers, (batch, new), that the callback wants to go on with; None where it has no wish."""
    changed = callback(step, timestep, {"sample": answer.clone()})
    if not changed or "sample" not in changed:
        return None
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
