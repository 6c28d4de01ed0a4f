"""A chunk of questions under all methods that share states: where each setting stands, and what it waits for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmark.engine.memo import Memo
from benchmark.engine.rows import Cohort, Questions
from benchmark.models.interface import AnswerOptions
from benchmark.protocol.method import Method


class NoModel:
    """Takes the place of a model in a loop that is sent its views from elsewhere.

    Args:
        denoiser: of the model that they come from.
        mask_token_id: the mask token.
    """

    def __init__(self, denoiser: Any, mask_token_id: int | None) -> None:
        self.mask_token_id = denoiser.mask_token_id if mask_token_id is None else mask_token_id
        self.block_length = denoiser.block_length
        self.grid_length = getattr(denoiser, "grid_length", None)

    def session(self, request: Any) -> NoModel:
        """Nothing is kept, for nothing is asked."""
        return self

    def look(self, sequences: Any, start: int, stop: int) -> Any:
        """Never called: views come from elsewhere."""
        raise TypeError("this loop is sent its views")

    def end_block(self, sequences: Any, start: int, stop: int) -> None:
        """Nothing is kept."""

    def forget(self) -> None:
        """Nothing is kept."""


class State(NamedTuple):
    """A state that has to go through the model.

    Attributes:
        chunk: that it belongs to.
        place: of its record in the chunk's memo.
        question: index of the question.
        masked: positions that are still masked: so many steps its slowest setting has to take from here on.
        key: its key in the memo: int32, the question's number in the chunk and then the answer.
    """

    chunk: Chunk
    place: int
    question: int
    masked: int
    key: bytes


def answers_of(states: Sequence[State]) -> Any:
    """The partly decoded answers, (states, new), long."""
    import numpy as np
    import torch

    keys = np.frombuffer(b"".join(state.key for state in states), dtype=np.int32)
    return torch.from_numpy(keys.reshape(len(states), -1)[:, 1:].astype(np.int64))


class Standing:
    """A cohort and the states that its rows stand at.

    Attributes:
        places: (rows,), long: where the records of the states are.
        waits_for: how many of these states are still on their way through the model.
        visits: (rows,): states that each row came through since time was last shared out.
        seconds: (rows,): time shared out to each row.
    """

    def __init__(self, cohort: Cohort) -> None:
        import numpy as np

        self.cohort = cohort
        self.places: Any = None
        self.waits_for = 0
        self.visits = np.zeros(len(cohort.chosen), dtype=np.int64)
        self.seconds = np.zeros(len(cohort.chosen))


class Chunk:
    """Some questions under all methods, and the memo of the states that they come through.

    Args:
        questions: of the task.
        chosen: indices of those of the chunk.
        methods: all of which read no more than a `RecordedProposal`.
        model: in place of the model.
        options: of the run.
        temperature: of the proposals.
    """

    def __init__(
        self,
        questions: Questions,
        chosen: Sequence[int],
        methods: Sequence[Method],
        model: NoModel,
        options: AnswerOptions,
        temperature: float,
    ) -> None:
        self.chosen = list(chosen)
        self.memo = Memo(options.max_new_tokens)
        self._mask_token_id = model.mask_token_id
        self._waiting: dict[int, list[Standing]] = {}
        # Where answers lie in their blocks depends on the lengths of the prompts.
        batch = questions.padded(chosen)
        self.standing = [
            Standing(Cohort(questions, chosen, method, model, options, temperature, batch)) for method in methods
        ]

    def look_up(self, standing: Standing) -> list[State]:
        """Find the states that a cohort stands at; those that are new are returned, to go through the model."""
        import numpy as np
        import torch

        asked = standing.cohort.asked
        answers = asked.answers
        rows, length = answers.shape
        keys = np.empty((rows, length + 1), dtype=np.int32)
        keys[:, 0] = np.arange(rows)
        keys[:, 1:] = answers.numpy()
        masked = (answers == self._mask_token_id).sum(dim=1).tolist()
        data, size = keys.tobytes(), 4 * (length + 1)
        places, new, waiting = [0] * rows, [], set()
        place_of, on_their_way = self.memo.place, self._waiting
        for row, unfinished in enumerate(asked.unfinished):
            if not unfinished:
                continue
            key = data[row * size : (row + 1) * size]
            place, is_new = place_of(key)
            places[row] = place
            if is_new:
                on_their_way[place] = []
                new.append(State(self, place, self.chosen[row], masked[row], key))
            if place in on_their_way:
                waiting.add(place)
        for place in waiting:
            on_their_way[place].append(standing)
        standing.places, standing.waits_for = torch.tensor(places), len(waiting)
        standing.visits += asked.unfinished
        return new

    def write(self, places: list[int], record: Any) -> list[Standing]:
        """Keep the records of some states; returns the cohorts that wait for nothing any more."""
        self.memo.write(places, record)
        ready = []
        for place in places:
            for standing in self._waiting.pop(place):
                standing.waits_for -= 1
                if standing.waits_for == 0:
                    ready.append(standing)
        return ready

    def go_on(self, standing: Standing) -> bool:
        """One step of a cohort that waits for nothing; returns whether it is finished."""
        cohort = standing.cohort
        # The rows that are finished read some record, which decides nothing.
        record = self.memo.read(standing.places)
        cohort.go_on(cohort.decoding.recorded_view(cohort.asked, record))
        if cohort.asked is None:
            self.standing.remove(standing)
        return cohort.asked is None

    def forget(self) -> list[State]:
        """Drop all records, and begin anew with the states that cohorts stand at, which are returned."""
        self.memo.forget()
        self._waiting = {}
        found: list[State] = []
        for standing in self.standing:
            standing.visits -= standing.cohort.asked.unfinished
            found.extend(self.look_up(standing))
        return found
