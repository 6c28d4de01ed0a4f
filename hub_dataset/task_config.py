"""A config's settings, what every task type provides, and the questions that it hands out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .randomness import Stream
from .text_sources import HubDataset, TextSource

CATEGORIES = ("waiting_line", "text_writing", "puzzle", "case_study", "custom")
SPLITS = ("test", "train", "validation")
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


# The task types by the names that configs have for them; `generators` enters its own.
TASK_TYPES: dict[str, TaskType] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskConfig:
    """The settings of one config. Lengths are list items or the grid's size, both ends included."""

    name: str
    category: str
    type: str
    description: str
    prompt: str
    min_length: int
    max_length: int
    shots: int
    example_min_length: int = 0
    example_max_length: int = 0
    rows: int
    max_new_tokens: int
    items: str = ""
    # A user's own items, in place of `items`.
    pool: tuple[str, ...] = ()
    blanks: int = 0
    times: int = 0
    operation: str = ""
    max_number: int = 0
    # Where the texts of a text task come from.
    source: TextSource | None = None
    # Whose words the texts of train and validation take, one of `sentences.VOCABULARIES`; empty where none are made.
    vocabulary: str = ""
    # The file and the key where these settings stand, for messages: "my_tasks.yaml: tasks.copy".
    origin: str = ""

    @property
    def task_type(self) -> TaskType:
        """The generator's side of this config."""
        return TASK_TYPES[self.type]

    @property
    def scorer(self) -> str:
        """The scorer that this config's references name."""
        return self.task_type.scorer

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that can be built."""
        few = self.task_type.fixed_texts and not self.vocabulary
        test_only = few or self.min_length < self.task_type.shortest_to_train_on
        return SPLITS[:1] if test_only else SPLITS

    @property
    def lengths(self) -> dict[str, int]:
        """The bounds of lengths by their keys, those of examples only where there are examples."""
        keys = ["min_length", "max_length"]
        keys += ["example_min_length", "example_max_length"] if self.shots else []
        return {key: getattr(self, key) for key in keys}

    @property
    def from_hub(self) -> bool:
        """Whether the rows come from a public dataset, which takes a network to build."""
        return isinstance(self.source, HubDataset)
