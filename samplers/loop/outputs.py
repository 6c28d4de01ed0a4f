"""What a generation hands out: the state after each step, and the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(repr=False)
class GenerationOutput:
    """What `generate` returns.

    Attributes:
        sequences: (batch, prompt + new), long: prompts as they were given, followed by what was generated.
        num_rounds: (batch,), long: steps in which a row still had something to decode: how often it waited for the
            model.
        num_forward_passes: (batch,), long: states of a row that went through the model in those steps (its NFE): one a
            round; more where a scheduler looks at several drafts at once; twice as many with guidance.
        num_skipped_tokens: (batch,), long: positions that `stop_at_eos` or `eos_handling="fill"` filled with the end
            token, so that no forward pass had to decode them; 0 unless one of the two is asked for.
        trajectory: the generated region after each step, each (batch, new), if asked for. A row that is finished
            repeats its state while the others go on.
        prompt_length: tokens of `sequences` that are prompts, padding included.
    """

    sequences: Tensor
    num_forward_passes: Tensor
    num_skipped_tokens: Tensor
    num_rounds: Tensor
    trajectory: list[Tensor] | None = None
    prompt_length: int = 0

    @property
    def answers(self) -> Tensor:
        """(batch, new), long: what was generated, without the prompts."""
        return self.sequences[:, self.prompt_length :]

    def __repr__(self) -> str:
        rows, new = self.answers.shape
        trajectory = "" if self.trajectory is None else f", trajectory of {len(self.trajectory)} steps"
        rounds = ""
        if not torch.equal(self.num_rounds, self.num_forward_passes):
            rounds = f"rounds {_in_short(self.num_rounds)}, "
        return (
            f"GenerationOutput({rows} answers of {new} tokens, {rounds}"
            f"forward passes {_in_short(self.num_forward_passes)}, "
            f"skipped tokens {_in_short(self.num_skipped_tokens)}{trajectory})"
        )


@dataclass(frozen=True, slots=True)
class Look:
    """What a decoding waits for before its next step: the model's view of a window; see `Decoding.looks`.

    Attributes:
        answers: (batch, new), long: the generated region so far; not to be changed.
        window: as in `GenerationStep`.
        unfinished: rows that have something to decode in the window; the view of the others is not read.
    """

    answers: Tensor
    window: tuple[int, int]
    unfinished: list[bool]


@dataclass(frozen=True, slots=True)
class GenerationStep:
    """One step of a generation, as `stream` hands it out; its tensors are the caller's to keep.

    Attributes:
        number: counted from 0, over all blocks.
        timestep: what the scheduler was told.
        before: (batch, new), long: the generated region before this step.
        sample: (batch, new), long: the generated region after it, end tokens filled in and the callback's changes made.
        window: first and last-plus-one position of the generated region that the scheduler saw; with `tails`, counted
            from the first block, in which the generated region of a row begins after its tail.
        num_rounds, num_forward_passes: (batch,), long: of each row so far; see `GenerationOutput`.
        num_skipped_tokens: (batch,), long: positions that were filled without one so far.
        mask_token_id: what marks a position as open in `before` and `sample`.
        stop_token_ids: what ends an answer: those that `generate` was given, else the model's; empty where none is
            known.
        output: what the scheduler's `step` returned.
        tails: (batch, 1), long: tokens of each prompt that share a block with the answer; None where none do.
    """

    number: int
    timestep: Any
    before: Tensor
    sample: Tensor
    window: tuple[int, int]
    num_rounds: Tensor
    num_forward_passes: Tensor
    num_skipped_tokens: Tensor
    mask_token_id: int
    output: Any
    tails: Tensor | None = None
    stop_token_ids: tuple[int, ...] = ()

    @property
    def masked(self) -> Tensor:
        """Positions still masked after the step, bool (batch, new)."""
        return self.sample == self.mask_token_id

    @property
    def committed(self) -> Tensor:
        """Positions that were masked before the step and are not after it, bool (batch, new)."""
        return (self.before == self.mask_token_id) & ~self.masked

    @property
    def remasked(self) -> Tensor:
        """Positions that held a token before the step and are masked after it, bool (batch, new)."""
        return (self.before != self.mask_token_id) & self.masked

    @property
    def replaced(self) -> Tensor:
        """Positions that held another token before the step, bool (batch, new)."""
        both = (self.before != self.mask_token_id) & ~self.masked
        return both & (self.before != self.sample)

    @property
    def probabilities(self) -> Tensor:
        """The model's probability of the token proposed at each position, (batch, new); NaN outside the window."""
        proposed: Tensor = self.output.sampled_probs
        start, stop = self.window
        batch, new = self.sample.shape
        if self.tails is None:
            probabilities = proposed.new_full((batch, max(new, stop)), torch.nan)
            probabilities[:, start:stop] = proposed
            return probabilities[:, :new]
        columns = torch.arange(new, device=proposed.device) + self.tails
        seen = proposed.gather(1, (columns - start).clamp(0, stop - start - 1))
        return seen.masked_fill((columns < start) | (columns >= stop), torch.nan)


def _in_short(numbers: Tensor) -> str:
    """A few numbers one by one, many by the least and the greatest."""
    values = numbers.tolist()
    return str(values) if len(values) <= 8 else f"{min(values)} to {max(values)}"
