"""Where prompts and answers lie while a generation goes on: as they were given, or on the grid of a model's blocks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """The columns that a loop works on, and the way from there to answers and back.

    Without a grid they are the prompts, padded on the left as they were given, and the answers.

    A block-causal model knows blocks only where they lie on its grid, which begins at the first token of a prompt: the
    end of a prompt shares a block with the first tokens of its answer. So each row is moved until its grid and that of
    the columns are one, and until all answers begin in the same block. `start` is the first column of that block; the
    `tails` are the tokens of the prompts behind it. Behind a shorter row's answer lie unused columns.
    So blocks are columns again, and a row sees the same windows in every batch. Two rows on a grid of 4, with prompts
    of 6 and 9 tokens (p), answers of 5 (a) and windows of 4; `.` is padding, `x` an unused column:

        column      0 1 2 3  4 5 6 7 | 8 9 ...      | ...
        prompt 9    p p p p  p p p p | p a a a      | a a x x    tail 1
        prompt 6    . . . .  p p p p | p p a a      | a a a x    tail 2
                                     start, the first window: both rows' answers begin in it

    Attributes:
        sequences: (batch, columns), long, at the beginning. Where `fixed`, never the mask token.
        attention_mask: (batch, columns), 1 for tokens and 0 for padding; None where nothing is padded.
        start: first column of the first block.
        new: tokens of an answer.
        tails: (batch, 1), long: columns from `start` to the answer; None where the answers begin at `start`.
        fixed: (batch, columns - start), bool: what belongs to no answer; None where everything does.
        hidden_masks: (batch, columns), bool: prompt tokens that are mask tokens to the model; None where none are.
        mask_token_id: the mask token.
    """

    sequences: Tensor
    attention_mask: Tensor | None
    start: int
    new: int
    mask_token_id: int
    tails: Tensor | None = None
    fixed: Tensor | None = None
    hidden_masks: Tensor | None = None

    def answers(self, sequences: Tensor) -> Tensor:
        """The answers, (batch, new), in `sequences` (batch, columns)."""
        if self.tails is None:
            return sequences[:, self.start : self.start + self.new]
        return sequences.gather(1, self._answer_columns())

    def window_of(self, of_answers: Tensor, start: int, stop: int) -> Tensor:
        """A number per token of the answers, (batch, new), as one per column of a window; anything outside answers."""
        if self.tails is None and stop - self.start <= self.new:
            return of_answers[:, start - self.start : stop - self.start]
        tokens = torch.arange(start - self.start, stop - self.start, device=of_answers.device)[None]
        tokens = tokens if self.tails is None else tokens - self.tails
        return of_answers.gather(1, tokens.clamp(0, self.new - 1).expand(len(of_answers), -1))

    def with_answers(self, sequences: Tensor, answers: Tensor) -> Tensor:
        """`sequences` (batch, columns) with other answers (batch, new)."""
        if self.tails is None:
            return torch.cat([sequences[:, : self.start], answers, sequences[:, self.start + self.new :]], dim=1)
        return sequences.scatter(1, self._answer_columns(), answers)

    def in_blocks(self, of_answers: Tensor) -> Tensor:
        """A flag per token of the answers, bool (batch, new), as one per column from `start` on; False elsewhere."""
        if self.tails is None and of_answers.shape[1] == self.sequences.shape[1] - self.start:
            return of_answers
        columns = torch.zeros_like(self.sequences, dtype=torch.bool)
        return self.with_answers(columns, of_answers)[:, self.start :]

    def for_model(self, sequences: Tensor) -> Tensor:
        """`sequences` as the model should see them: mask tokens that a prompt came with are there again."""
        if self.hidden_masks is None:
            return sequences
        return sequences.masked_fill(self.hidden_masks, self.mask_token_id)

    @property
    def prompts(self) -> Tensor:
        """What belongs to a prompt or the padding before it, bool (batch or 1, columns)."""
        columns = torch.arange(self.sequences.shape[1], device=self.sequences.device)[None]
        return columns < (self.start if self.tails is None else self.start + self.tails)

    def decoded(self, stop: int) -> int | Tensor:
        """How many tokens of the answers lie before column `stop`: one number, or one per row, (batch, 1)."""
        return stop - self.start if self.tails is None else stop - self.start - self.tails

    def _answer_columns(self) -> Tensor:
        assert self.tails is not None
        return self.start + self.tails + torch.arange(self.new, device=self.tails.device)


def plain_layout(input_ids: Tensor, attention_mask: Tensor | None, answers: Tensor, mask_token_id: int) -> Layout:
    """The layout without a grid.

    Args:
        input_ids: (batch, prompt), long, padded on the left.
        attention_mask: (batch, prompt), or None where nothing is padded.
        answers: (batch, new), long.
        mask_token_id: the mask token.
    """
    if attention_mask is not None:
        attention_mask = torch.cat([attention_mask, attention_mask.new_ones(answers.shape)], dim=1)
    sequences = torch.cat([input_ids, answers], dim=1)
    return Layout(sequences, attention_mask, input_ids.shape[1], answers.shape[1], mask_token_id)


def grid_layout(
    input_ids: Tensor,
    attention_mask: Tensor | None,
    answers: Tensor,
    mask_token_id: int,
    *,
    grid: int,
    block_length: int,
) -> Layout:
    """The layout on a grid.

    Args:
        input_ids, attention_mask, answers, mask_token_id: as for `plain_layout`.
        grid: length of the model's blocks.
        block_length: length of the blocks to decode; the columns from `start` on are a multiple of it.
    """
    batch, length = input_ids.shape
    new, device = answers.shape[1], input_ids.device
    lengths = (
        torch.full((batch,), length, device=device) if attention_mask is None else (attention_mask != 0).sum(dim=1)
    )
    tails = lengths % grid
    # Synchronise once: everything else that follows from the lengths is the same for all rows.
    longest_start, shortest_start, longest_tail, shortest_tail = torch.stack(
        [(lengths - tails).max(), (lengths - tails).min(), tails.max(), tails.min()]
    ).tolist()
    columns = longest_start + -(-(longest_tail + new) // block_length) * block_length
    column = torch.arange(columns, device=device)[None]
    # From a column to the token of [prompt, answer] there, counted from the row's first real one.
    tokens = column - (longest_start - (lengths - tails))[:, None]
    real = (tokens >= 0) & (tokens < lengths[:, None] + new)
    whole = torch.cat([input_ids, answers], dim=1)
    sequences = whole.gather(1, (tokens + (length - lengths)[:, None]).clamp(0, length + new - 1))
    ours = (tokens >= lengths[:, None]) & real
    nothing = 0 if mask_token_id != 0 else 1
    hidden = (sequences == mask_token_id) & real & ~ours & (column >= longest_start)
    sequences = sequences.masked_fill(hidden | ~real, nothing)
    padded = shortest_start < longest_start or columns > longest_start + shortest_tail + new
    return Layout(
        sequences,
        real.to(torch.long) if padded else None,
        longest_start,
        new,
        mask_token_id,
        tails=tails[:, None] if longest_tail else None,
        fixed=~ours[:, longest_start:] if longest_tail or padded else None,
        hidden_masks=hidden if bool(hidden.any()) else None,
    )
