"""The drafts of a generation: states that a scheduler wants to see beside the present one, looked at all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..denoisers.interface import DecodingSession
from ..schedulers.views import ModelView

#: What errors say that are no `OutOfMemoryError`: those of the host's allocator, of GPU libraries and of Apple's.
_FULL = ("can't allocate memory", "not enough memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


class Drafts:
    """What the scheduler drafted in the last step, until the model is looked at again.

    Args:
        session: whom to ask.
        batch: number of rows.
    """

    def __init__(self, session: DecodingSession, batch: int) -> None:
        self._session, self._batch = session, batch
        self._states: Tensor | None = None
        self._counts: Tensor | None = None
        self._numbers: list[int] = []
        # States in one forward pass: all of them until memory says otherwise.
        self._most: int | None = None
        self._forgotten = False

    @property
    def waiting(self) -> bool:
        """Whether there is anything to look at."""
        return any(self._numbers)

    @property
    def counts(self) -> Tensor | int:
        """How many drafts each row has, (batch,), long."""
        return 0 if self._counts is None or not self.waiting else self._counts

    def drop(self) -> None:
        """Nothing is to be looked at but the present state."""
        self._states, self._counts, self._numbers = None, None, []

    def forget(self) -> None:
        """The session was told to forget what it kept."""
        self._forgotten = True

    def remembered(self) -> None:
        """It has looked at the present state since."""
        self._forgotten = False

    def drafted(self, output: Any, sample: Tensor) -> list[Tensor]:
        """Take over what a step drafted, for rows whose `sample` (batch, window) is what that step returned.

        Returns:
            The number of each row's drafts, for `expect`; nothing where the scheduler drafts nothing.
        """
        self.drop()
        states: Tensor | None = getattr(output, "drafts", None)
        if states is None or getattr(self._session, "changes_by_looking", False):
            return []
        unchanged = (sample == output.prev_sample).all(dim=1)
        self._states, self._counts = states, torch.where(unchanged, output.num_drafts, 0)
        return [self._counts]

    def expect(self, numbers: Sequence[int]) -> None:
        """The numbers that `drafted` returned, on the host."""
        self._numbers = list(numbers)

    def look(self, columns: Tensor, seen: Tensor, start: int, stop: int) -> ModelView:
        """The view of the window with the logits at the drafts; the model runs once, or more often if memory ends.

        Args:
            columns, seen: (batch, length), long: the rows as they are, and as the model sees them.
            start, stop: first and last (exclusive) column of the window.
        """
        assert self._states is not None
        places = [(row, number) for row, count in enumerate(self._numbers) for number in range(count)]
        row, number = torch.tensor(places, device=seen.device).unbind(1)
        states, drafted = seen.index_select(0, row), self._states[row, number]
        window = columns[:, start:stop].index_select(0, row)
        states[:, start:stop] = torch.where(drafted != window, drafted, states[:, start:stop])
        if not hasattr(self._session, "look_at_states"):
            logits = self._one_by_one(seen, states, row, number, start, stop)
        elif self._forgotten:
            # What is kept comes from a look at the present state.
            first = self._session.look(seen, start, stop).logits
            assert first is not None
            logits = torch.cat([first, self._in_parts(states, row, start, stop)])
            self.remembered()
        else:
            rows = torch.cat([torch.arange(self._batch, device=row.device), row])
            logits = self._in_parts(torch.cat([seen, states]), rows, start, stop)
        return ModelView(logits[: self._batch], draft_logits=logits, num_drafts=self._counts)

    def _in_parts(self, states: Tensor, rows: Tensor, start: int, stop: int) -> Tensor:
        """Logits of all states, (states, window, vocab), in as few forward passes as fit into memory."""
        session: Any = self._session
        parts: list[Tensor] = []
        done = 0
        while done < len(states):
            most = min(self._most or len(states), len(states) - done)
            part = slice(done, done + most)
            try:
                parts.append(session.look_at_states(states[part], rows[part], start, stop).logits)
                done += most
                continue
            except (RuntimeError, MemoryError) as error:
                if most <= self._batch or not _is_out_of_memory(error):
                    raise
            # Outside of the handler, which keeps the frames that failed and what they hold.
            self._most = max(self._batch, most // 2)
            if states.is_cuda:
                torch.cuda.empty_cache()
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _one_by_one(self, seen: Tensor, states: Tensor, row: Tensor, number: Tensor, start: int, stop: int) -> Tensor:
        """The same from a session that looks at one state of each row at a time."""
        first = self._session.look(seen, start, stop).logits
        assert first is not None
        logits = first.new_empty(len(seen) + len(states), *first.shape[1:])
        logits[: len(seen)] = first
        for turn in range(max(self._numbers)):
            which = (number == turn).nonzero()[:, 0]
            drafted = seen.index_copy(0, row[which], states[which])
            found = self._session.look(drafted, start, stop).logits
            assert found is not None
            logits[len(seen) + which] = found[row[which]]
        return logits


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(text in str(error) for text in _FULL)
