"""What every task type provides, and the question it hands out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..randomness import Stream
    from ..task_config import TaskConfig

MASK = "[MASK]"


@dataclass(frozen=True, slots=True)
class Question:
    """One question with an answer, before its prompt is worded.

    `fields` fills the prompt's placeholders; `scoring` holds the reference's keys beside `scorer` and `task`;
    `identity` is equal for questions that are the same in substance, whatever their wording; `used` are the items
    or words that a one-shot example of this question must not contain.
    """

    fields: Mapping[str, str]
    answer: str
    scoring: Mapping[str, Any]
    output_format: str
    length: int
    identity: Hashable
    used: frozenset[str]


class Generator(Protocol):
    """Draws questions of one task for one split."""

    def draw(self, draw: Stream, length: int, avoid: frozenset[str]) -> Question:
        """A question of `length`, drawn from the stream alone, that contains nothing of `avoid`."""
        ...


@dataclass(frozen=True, slots=True)
class TaskType:
    """A kind of task as configs name it.

    `scorer` is what its references name; `placeholders` must all stand in the prompt, others must not; `settings` are
    the config keys it needs beyond the common ones, `optional` those it can do without; `make(config, split)` returns
    the generator; `limits(config)` yields what is wrong with the settings as (key, message) pairs. `fixed_texts` says
    that the questions are a fixed few, of which none are left for train and validation, unless a `vocabulary` says to
    make texts for those; `is_text` that answers are sentences, which must be grammatical, and `open_ended` that beyond
    that no answer is right by rule. Shorter questions than `shortest_to_train_on` are too few to fill splits of any
    size: they are for test alone.
    """

    scorer: str
    placeholders: frozenset[str]
    settings: frozenset[str]
    make: Callable[[TaskConfig, str], Generator]
    limits: Callable[[TaskConfig], list[tuple[str, str]]]
    optional: frozenset[str] = frozenset()
    fixed_texts: bool = False
    is_text: bool = False
    open_ended: bool = False
    shortest_to_train_on: int = 1
