"""The models a run can name, each behind one small interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .data import Row


@dataclass(frozen=True, slots=True)
class TaskModel:
    """A model made ready for the rows of one task.

    Attributes:
        model: what `samplers.generate` drives.
        tokenizer: a transformers tokenizer with a chat template.
    """

    model: Any
    tokenizer: Any


class BenchmarkModel(Protocol):
    """What the runner needs of a model.

    Attributes:
        name: how results name it.
        default_temperature: of the proposals, unless the user says otherwise.
    """

    name: str
    default_temperature: float

    def check_task(self, rows: Sequence[Row], max_new_tokens: int) -> None:
        """Raise `ValueError` if the model cannot do this task; told from the rows, in little time."""
        ...

    def for_task(self, rows: Sequence[Row], max_new_tokens: int) -> TaskModel:
        """Make the model ready for these rows; tasks are independent, and may be made ready in several threads."""
        ...


class IdealModel:
    """The exact denoiser: every conditional is that of the uniform distribution over a row's valid answers.

    Run at temperature 1 it samples that distribution where tokens are committed one by one, and shows what parallel
    decoding alone costs where they are not; greedy decoding would break its ties in favour of the first token, always
    (see `benchmark.theory`).
    """

    name = "ideal"
    default_temperature = 1.0

    def check_task(self, rows: Sequence[Row], max_new_tokens: int) -> None:
        from .ideal import build_tokenizer, is_enumerable, valid_answers

        for row in rows:
            if not is_enumerable(row["reference"]):
                # Enumerating says why it is refused.
                valid_answers(row["reference"])
        answers: Any = build_tokenizer(rows)([row["answer"] for row in rows])
        longest = max(map(len, answers.input_ids))
        if longest > max_new_tokens:
            raise ValueError(
                f"the longest answer takes {longest} tokens, and only {max_new_tokens} would be generated; "
                f"give at least {longest} new tokens"
            )

    def for_task(self, rows: Sequence[Row], max_new_tokens: int) -> TaskModel:
        from .ideal import ExactDenoiser, build_tokenizer

        tokenizer = build_tokenizer(rows)
        return TaskModel(ExactDenoiser.from_rows(rows, tokenizer, max_new_tokens=max_new_tokens), tokenizer)


MODELS: dict[str, type[IdealModel]] = {"ideal": IdealModel}

DESCRIPTIONS = {"ideal": "exact conditionals of every task whose valid answers can be enumerated; temperature 1"}


def load_model(name: str) -> BenchmarkModel:
    """The model called `name`.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; known are {', '.join(MODELS)}")
    return MODELS[name]()
