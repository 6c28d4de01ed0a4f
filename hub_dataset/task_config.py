"""The settings of one config, as generators, rows and cards read them."""

from __future__ import annotations

from dataclasses import dataclass

from .generators import TASK_TYPES, TaskType
from .text_sources import HubSet, TextSource

CATEGORIES = ("waiting_line", "text_writing", "puzzle", "case_study", "custom")
SPLITS = ("test", "train", "validation")


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
    def from_hub(self) -> bool:
        """Whether the rows come from a public set, which takes a network to build."""
        return isinstance(self.source, HubSet)
