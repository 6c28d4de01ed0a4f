"""Conditionals of a batch of rows, laid out so that a forward pass takes a few tensor operations."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .encoding import AnswerTable
from .patterns import AnswerPattern


@dataclass(frozen=True, slots=True, eq=False)
class RowRecord:
    """What the denoiser knows of one row.

    A *slot* is one token at one position: one column of the pattern, or several whose labels stand for the same token.

    Attributes:
        pattern: What the row's answers look like, shared with rows like it.
        tokens: (longest answer,), long: the first valid answer, padded with end tokens.
        slot_of_column: (columns,), long.
        slot_positions: (slots,), long.
        slot_tokens: (slots,), long.
        slot_totals: (slots,), float32: the number of answers that have the token there.
        slot_seeds: (slots,), long: where the noise on the logits comes from, or None.
        tie_noise: the most that the noise adds to a logit.
    """

    pattern: AnswerPattern
    tokens: Tensor
    slot_of_column: Tensor
    slot_positions: Tensor
    slot_tokens: Tensor
    slot_totals: Tensor
    slot_seeds: Tensor | None
    tie_noise: float

    @classmethod
    def from_table(
        cls, table: AnswerTable, pattern: AnswerPattern, *, tie_noise: float, noise_seed: int | None
    ) -> "RowRecord":
        """Build a record from all answers of a row and the pattern of their labels."""
        tokens = torch.from_numpy(table.token_of_label)
        columns = torch.stack([pattern.column_positions, tokens[pattern.column_labels]])
        slots, slot_of_column = torch.unique(columns, dim=1, return_inverse=True)
        slot_totals = torch.zeros(slots.shape[1]).index_add_(0, slot_of_column, pattern.totals)
        seeds = None
        if noise_seed is not None:
            generator = torch.Generator().manual_seed(noise_seed)
            seeds = torch.randint(1 << 62, (slots.shape[1],), generator=generator)
        first = tokens[torch.from_numpy(table.labels[0])]
        return cls(pattern, first, slot_of_column, slots[0], slots[1], slot_totals, seeds, tie_noise)


class Batch:
    """Some rows side by side.

    The columns and slots of all rows are laid end to end, rows of one pattern next to each other: what differs from
    pattern to pattern is two matrix products on a slice, all else is done for the whole batch at once.

    Args:
        records: One per row of the batch.
        prompt: (batch, prompt), long: the prompts by which the rows were recognised.
        generation_length: Number of generated positions.
        vocab_size: Size of the vocabulary.
        eos_token_id: The token that fills answers up.

    Raises:
        ValueError: A row's longest answer does not fit into `generation_length`.
    """

    def __init__(
        self,
        records: Sequence[RowRecord],
        *,
        prompt: Tensor,
        generation_length: int,
        vocab_size: int,
        eos_token_id: int,
    ) -> None:
        needed = [len(record.tokens) for record in records]
        if max(needed) > generation_length:
            raise ValueError(
                f"row {needed.index(max(needed))} needs {max(needed)} tokens for its longest answer, "
                f"but only {generation_length} are generated"
            )
        self.prompt = prompt
        self.total_length = prompt.shape[1] + generation_length

        # Where all answers agree, the logits never change: they are written once.
        self._fixed_tokens = torch.full((len(records), generation_length), eos_token_id)
        self._varies = torch.zeros(len(records), generation_length, dtype=torch.bool)
        members: dict[int, list[int]] = {}
        for row, record in enumerate(records):
            self._fixed_tokens[row, : len(record.tokens)] = record.tokens
            self._varies[row, record.pattern.column_positions] = True
            if record.pattern.num_columns:
                members.setdefault(id(record.pattern), []).append(row)
        fixed_logits = torch.where(self._varies, -torch.inf, 0.0).unsqueeze(2)
        self._base = torch.full((len(records), generation_length, vocab_size), -torch.inf)
        self._base.scatter_(2, self._fixed_tokens.unsqueeze(2), fixed_logits)

        # Groups of rows with the same pattern: (pattern, its rows, the slice of the flat columns that is theirs).
        self._groups: list[tuple[AnswerPattern, Tensor, slice]] = []
        order: list[int] = []
        stop = 0
        for rows in members.values():
            pattern = records[rows[0]].pattern
            start, stop = stop, stop + len(rows) * pattern.num_columns
            self._groups.append((pattern, torch.tensor(rows), slice(start, stop)))
            order.extend(rows)
        if not order:
            return
        in_order = [records[row] for row in order]
        widths = torch.tensor([len(record.slot_tokens) for record in in_order])
        offsets = (widths.cumsum(0) - widths).tolist()
        self._row = torch.tensor(order).repeat_interleave(widths)
        self._position = torch.cat([record.slot_positions for record in in_order])
        self._token = torch.cat([record.slot_tokens for record in in_order])
        self._total = torch.cat([record.slot_totals for record in in_order])
        self._slot_of_column = torch.cat(
            [record.slot_of_column + offset for record, offset in zip(in_order, offsets, strict=True)]
        )
        self._num_answers = torch.tensor([record.pattern.num_answers for record in records])
        seeds = [record.slot_seeds for record in in_order if record.slot_seeds is not None]
        self._seeds = torch.cat(seeds) if seeds else None
        self._tie_noise = in_order[0].tie_noise

    def logits(self, answer: Tensor, keep: Tensor, mask_token_id: int, log: Tensor) -> Tensor:
        """Log-probabilities at the kept positions of the generated part.

        Args:
            answer: (batch, generated), long: the generated tokens and masks.
            keep: (kept,), long: positions in the generated part; what stands at a negative one is undefined.
            mask_token_id: The token that reveals nothing.
            log: (most answers + 1,), float64: natural logarithms of 0, 1, 2 …

        Returns:
            (batch, kept, vocabulary), float32.
        """
        generation_length = answer.shape[1]
        keeps_all = len(keep) == generation_length and bool((keep == torch.arange(generation_length)).all())
        logits = self._base.clone() if keeps_all else self._base.index_select(1, keep.clamp(min=0))
        if not self._groups:
            return logits
        values = self._slot_logits(answer, mask_token_id, log)
        row, position, token = self._row, self._position, self._token
        if not keeps_all:
            place_of = torch.full((generation_length,), -1)
            place_of[keep[keep >= 0]] = (keep >= 0).nonzero().squeeze(1)
            place = place_of[position]
            kept = place >= 0
            row, position, token, values = row[kept], place[kept], token[kept], values[kept]
        flat = (row * logits.shape[1] + position) * logits.shape[2] + token
        logits.view(-1)[flat] = values
        return logits

    def _slot_logits(self, answer: Tensor, mask_token_id: int, log: Tensor) -> Tensor:
        """Log-probability of every slot's token at its position, (slots of all rows,), float32."""
        is_revealed = answer != mask_token_id
        contradicts = (is_revealed & ~self._varies & (answer != self._fixed_tokens)).any(dim=1)
        num_revealed = (is_revealed & self._varies).sum(dim=1, keepdim=True, dtype=torch.float32)
        num_revealed[contradicts] = -1.0  # no answer agrees in that many places
        matches = (answer[self._row, self._position] == self._token).float()[self._slot_of_column]
        counts = torch.empty_like(matches)
        consistent = torch.ones(len(answer), dtype=torch.float32)
        for pattern, rows, columns in self._groups:
            shape = (len(rows), pattern.num_columns)
            with_label, agreeing = pattern.count(matches[columns].view(shape), num_revealed[rows])
            counts[columns] = with_label.view(-1)
            consistent[rows] = agreeing.squeeze(1)
        counts = torch.zeros_like(self._total).index_add_(0, self._slot_of_column, counts)

        dead_end = consistent == 0
        answers = torch.where(dead_end, self._num_answers, consistent.long())
        counts = torch.where(dead_end[self._row], self._total, counts)
        values = (log[counts.long()] - log[answers][self._row]).float()
        if self._seeds is None:
            return values
        # Noise that stayed the same would decide both which positions come first and which token the others take.
        return values + self._tie_noise * _hashed_uniform(self._seeds, is_revealed.sum(dim=1)[self._row])


def _hashed_uniform(seeds: Tensor, step: Tensor) -> Tensor:
    """Numbers in [0, 1), float32, that look independent from seed to seed and from step to step.

    The finalizer of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014);
    products wrap, as they do there.
    """
    mixed = seeds + step * -7046029254386353131
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        mixed = (mixed ^ _shifted_right(mixed, shift)) * factor
    mixed = mixed ^ _shifted_right(mixed, 31)
    return _shifted_right(mixed, 40).float() / (1 << 24)


def _shifted_right(values: Tensor, places: int) -> Tensor:
    """A logical shift: zeros come in from the left, where >> of a signed integer repeats the sign."""
    return (values >> places) & ((1 << (64 - places)) - 1)
