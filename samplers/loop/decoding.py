"""The loop: forward pass, scheduler step, until nothing is masked."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..denoisers.adapters import denoiser_for
from ..denoisers.guidance import GuidedSession
from ..denoisers.interface import DecodingSession, SessionRequest, open_session
from ..schedulers.proposals import RECORDED, RecordedProposal
from ..schedulers.views import ModelView
from .drafts import Drafts
from .driving import describe_invalid, driver_for, invalid_rows
from .end_tokens import end_tokens
from .inputs import Callback, GenerationArguments, find_mask_token_id, prepare_answer
from .layout import grid_layout, plain_layout
from .outputs import GenerationStep, Look


class Decoding:
    """One generation while it goes on. The loop itself is `steps`.

    Args:
        arguments: what was asked for.

    Attributes:
        num_rounds, num_forward_passes, num_skipped_tokens: (batch,), long: so far; see `GenerationOutput`.

    Raises:
        ValueError: something is asked for that the model, its tokens or the scheduler do not have.
    """

    def __init__(self, arguments: GenerationArguments) -> None:
        prompts, padding = arguments.input_ids, arguments.attention_mask

        # 1. Whom to ask, and what the special tokens are
        denoiser = denoiser_for(arguments.model)
        self._mask = find_mask_token_id(arguments.mask_token_id, denoiser)
        self._end_tokens = end_tokens(arguments)
        self._driver = driver_for(arguments)

        # 2. Lay prompts and answers out in columns
        answer = prepare_answer(arguments.prefill, prompts, arguments.max_new_tokens, self._mask)
        self._block_length = arguments.block_length or denoiser.block_length or arguments.max_new_tokens
        grid: int | None = getattr(denoiser, "grid_length", None)
        if grid is None:
            self._block_length = min(self._block_length, arguments.max_new_tokens)
            self._layout = plain_layout(prompts, padding, answer, self._mask)
        else:
            self._layout = grid_layout(prompts, padding, answer, self._mask, grid=grid, block_length=self._block_length)
        self._columns = self._layout.sequences
        self._given = self._layout.fixed
        if arguments.prefill is not None:
            prefilled = self._layout.in_blocks(answer != self._mask)
            self._given = prefilled if self._given is None else self._given | prefilled

        # 3. Open a session with the model
        self._wants = self._driver.wants
        if self._end_tokens.banned:
            self._wants = replace(self._wants, logits=True)
        request = SessionRequest(
            self._layout.attention_mask,
            self._layout.start,
            self._block_length,
            revises_blocks=self._driver.scope == "sequence",
            cache=arguments.cache,
            mask_token_id=self._mask,
            wants=self._wants,
            generator=arguments.generator,
            compile=arguments.compile,
        )
        self._session: DecodingSession = (
            GuidedSession(denoiser, request, arguments.cfg_scale, self._layout.prompts)
            if arguments.cfg_scale
            else open_session(denoiser, request)
        )
        self._drafts = Drafts(self._session, len(prompts))
        self._arguments = arguments
        self.num_forward_passes = torch.zeros(len(prompts), dtype=torch.long, device=prompts.device)
        self.num_rounds = torch.zeros_like(self.num_forward_passes)
        self.num_skipped_tokens = torch.zeros_like(self.num_forward_passes)

    @property
    def sequences(self) -> Tensor:
        """(batch, prompt + new), long: prompts as they were given, and the answers as far as they are decoded."""
        return torch.cat([self._arguments.input_ids, self._answer()], dim=1)

    def steps(self) -> Iterator[GenerationStep]:
        """Decode; yields after every step. To be called once."""
        looks = self.looks()
        for event in looks:
            while isinstance(event, Look):
                event = looks.send(self.look(event))
            yield event

    @torch.no_grad()
    def look(self, asked: Look) -> ModelView:
        """The model's view of what `looks` asks for."""
        start, stop = (self._layout.start + column for column in asked.window)
        return self._look(start, stop)

    def recorded_view(self, asked: Look, proposal: RecordedProposal) -> ModelView:
        """What `looks` asks for, as it was recorded for all positions of the answers, (batch, new)."""
        start, stop = (self._layout.start + column for column in asked.window)
        fields = {name: self._layout.window_of(getattr(proposal, name), start, stop) for name in RECORDED}
        return ModelView(None, proposal=RecordedProposal(**fields, vocab_size=proposal.vocab_size))

    @torch.no_grad()
    def looks(self) -> Generator[Look | GenerationStep, ModelView | None, None]:
        """Decode with views from elsewhere: yields each `Look`, is sent the view, and then yields the step.

        Whoever sends the views may take them from where they like, and change the generators before every step. To be
        called once.
        """
        driver, number = self._driver, 0

        # 4. Prepare the schedule
        driver.set_timesteps(self._columns.device, self._block_length)
        for start, stop in self._windows():
            # 5. Prepare the block
            driver.start_block()
            self._drafts.drop()
            unfinished, anything_left = self._unfinished_rows(start, stop)
            if not anything_left:
                return
            idle_steps = block_step = 0
            unsettled: Tensor | None = None
            while any(unfinished):
                # 6. Look at the model
                before = self._columns
                window = before[:, start:stop]
                masked = window == self._mask
                place = (start - self._layout.start, stop - self._layout.start)
                view = yield Look(self._answer(), place, unfinished)
                assert view is not None

                # 7. Let the scheduler decide
                timestep = driver.timestep(block_step)
                prompt_mask = self._prompt_mask(window, start, stop)
                output = driver.step(
                    view,
                    timestep,
                    window,
                    mask_token_id=self._mask,
                    generator=_noise_sources(self._arguments.generator, unfinished),
                    prompt_mask=prompt_mask,
                    token_discounts=self._end_tokens.discounts(self._answer(), self._mask),
                )
                self._count(_going_on(masked, unsettled))
                unsettled = getattr(output, "unsettled", None)

                # 8. Take the tokens over; rules for end tokens and the callback may add to them
                decided = output.prev_sample
                if prompt_mask is not None:
                    decided = torch.where(prompt_mask, window, decided)
                self._columns = torch.cat([before[:, :start], decided, before[:, stop:]], dim=1)
                self._fill(self._end_tokens.fill_behind)
                self._call_back(number, timestep)

                # 9. Synchronise, once a step: which rows go on, is anything broken, did anything happen
                invalid = invalid_rows(output, masked)
                going_on = _going_on(self._columns[:, start:stop] == self._mask, unsettled)
                flags = [invalid.any().unsqueeze(0), (decided != window).any().unsqueeze(0), going_on]
                drafted = self._drafts.drafted(output, self._columns[:, start:stop])
                any_invalid, any_change, *numbers = torch.cat([*flags, *drafted]).tolist()
                unfinished = numbers[: len(window)]
                self._drafts.expect(numbers[len(window) :])
                if any_invalid:
                    position = self._position(start, invalid)
                    raise ValueError(describe_invalid(view, window, invalid, self._mask, position, number))
                idle_steps = 0 if any_change else idle_steps + 1
                if idle_steps > driver.steps_per_block:
                    raise ValueError(_describe_idleness(driver.name, idle_steps, unfinished))

                # 10. Hand the step out
                yield self._step(number, timestep, before, output, start, stop)
                block_step, number = block_step + 1, number + 1

            # 11. Finish the block
            self._session.end_block(self._seen(), start, stop)
            self._fill(self._end_tokens.fill_stopped, self._layout.decoded(stop))

    def _look(self, start: int, stop: int) -> ModelView:
        """The model's view of the window, with end tokens banned where that is asked for."""
        if self._drafts.waiting:
            view = self._drafts.look(self._columns, self._seen(), start, stop)
        else:
            view = self._session.look(self._seen(), start, stop)
            self._drafts.remembered()
        view = view.checked(self._wants, self._session)
        return self._end_tokens.adjust(view)

    def _seen(self) -> Tensor:
        """The columns as the model sees them."""
        return self._layout.for_model(self._columns)

    def _count(self, looking: Tensor) -> None:
        """Count a round for the rows that needed it, bool (batch,), and a forward pass for each of their states."""
        passes = (1 + self._drafts.counts) * (2 if self._arguments.cfg_scale else 1)
        self.num_rounds = self.num_rounds + looking
        self.num_forward_passes = self.num_forward_passes + looking * passes

    def _position(self, column: int, invalid: Tensor) -> int:
        """The position, counted in the sequences as they were given, of a column of the first invalid row."""
        decoded = self._layout.decoded(column)
        first = decoded if isinstance(decoded, int) else int(decoded[invalid.nonzero()[0], 0])
        return self._arguments.input_ids.shape[1] + first

    def _windows(self) -> Iterator[tuple[int, int]]:
        """First and last-plus-one column of what the scheduler sees of each block."""
        length = self._columns.shape[1]
        for block_start in range(self._layout.start, length, self._block_length):
            start = self._layout.start if self._driver.scope == "sequence" else block_start
            yield start, min(block_start + self._block_length, length)

    def _unfinished_rows(self, start: int, stop: int) -> tuple[list[bool], bool]:
        """Which rows have something to decode in the block from `start` on; whether any has, there or behind it."""
        if self._given is None and self._arguments.callback_on_step_end is None and not self._end_tokens.fills:
            # No block can have been filled before its turn, so there is no need to synchronise.
            return [True] * len(self._columns), True
        masks = self._columns[:, start:] == self._mask
        flags = [masks[:, : stop - start].any(dim=1), masks.any().unsqueeze(0)]
        *unfinished, anything_left = torch.cat(flags).tolist()
        return unfinished, anything_left

    def _prompt_mask(self, window: Tensor, start: int, stop: int) -> Tensor | None:
        """Positions of the window that must stay, bool (batch, window); None where nothing was given beforehand."""
        if self._given is None:
            return None
        # A callback may have masked a given token again.
        return self._given[:, start - self._layout.start : stop - self._layout.start] & (window != self._mask)

    def _answer(self) -> Tensor:
        return self._layout.answers(self._columns)

    def _set_answer(self, answer: Tensor) -> None:
        self._columns = self._layout.with_answers(self._columns, answer)

    def _call_back(self, number: int, timestep: Any) -> None:
        """Go on with the answers that the callback returns, if any; they may differ wherever it likes."""
        callback = self._arguments.callback_on_step_end
        changed = None if callback is None else _changed_sample(callback, number, timestep, self._answer())
        if changed is not None:
            self._set_answer(changed)
            self._session.forget()
            self._drafts.forget()

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
            num_rounds=self.num_rounds.clone(),
            num_forward_passes=self.num_forward_passes.clone(),
            num_skipped_tokens=self.num_skipped_tokens.clone(),
            mask_token_id=self._mask,
            stop_token_ids=self._end_tokens.tokens,
            output=output,
        )


def _going_on(masked: Tensor, unsettled: Tensor | None) -> Tensor:
    """Rows with something to decode, or that the method wants to look at once more, bool (batch,)."""
    going_on = masked.any(dim=1)
    return going_on if unsettled is None else going_on | unsettled


def _noise_sources(generator: Any, unfinished: list[bool]) -> Any:
    """A row whose window is finished draws no noise, so that its stream is the one it has alone."""
    if not isinstance(generator, Sequence):
        return generator
    return [source if going_on else None for source, going_on in zip(generator, unfinished, strict=True)]


def _changed_sample(callback: Callback, step: int, timestep: Any, answer: Tensor) -> Tensor | None:
    """The answers, (batch, new), that the callback returned to go on with; None where it returned none."""
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
