"""Where list items come from: people, single letters, or the user's own."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..randomness import Stream, pick
from .made_up_people import MadeUpPeople
from .people import PeoplePool

if TYPE_CHECKING:
    from ..task_config import TaskConfig

SOURCES = Path(__file__).resolve().parent.parent / "sources"


class Pool(Protocol):
    """A supply of distinct items."""

    @property
    def size(self) -> int:
        """How many items a row (question, example and new items together) may use without running dry."""
        ...

    def draw(self, draw: Stream, count: int, avoid: frozenset[str]) -> list[str]:
        """`count` distinct items that contain no word of `avoid`."""
        ...

    def words(self, items: Iterable[str]) -> frozenset[str]:
        """The words that these items use up."""
        ...


class People(PeoplePool):
    """People with listed names.

    `test` has lists of its own; `train` and `validation` draw from others that share no word with them.
    """

    def __init__(self, split: str) -> None:
        kind = "test" if split == "test" else "train"
        self.first_names = _read_list(f"first_names_{kind}.txt")
        self.last_names = _read_list(f"last_names_{kind}.txt")

    @property
    def size(self) -> int:
        # An example shares no name with its question, so the shorter list is what a row can use up.
        return min(len(self.first_names), len(self.last_names))

    def draw_names(self, draw: Stream) -> tuple[str, str]:
        first = pick(draw, self.first_names)
        return first, pick(draw, self.last_names)


class Letters:
    """The capital letters A to Z, the same in every split."""

    letters = string.ascii_uppercase

    def __init__(self, split: str) -> None:
        del split

    @property
    def size(self) -> int:
        return len(self.letters)

    def draw(self, draw: Stream, count: int, avoid: frozenset[str]) -> list[str]:
        chosen: list[str] = []
        while len(chosen) < count:
            letter = pick(draw, self.letters)
            if letter not in avoid and letter not in chosen:
                chosen.append(letter)
        return chosen

    def words(self, items: Iterable[str]) -> frozenset[str]:
        return frozenset(items)


class UserItems:
    """A user's own items, the same in every split."""

    def __init__(self, items: Sequence[str]) -> None:
        self.items = items

    @property
    def size(self) -> int:
        return len(self.items)

    def draw(self, draw: Stream, count: int, avoid: frozenset[str]) -> list[str]:
        free = [item for item in self.items if item not in avoid]
        for place in range(count):
            other = place + int(draw() * (len(free) - place))
            free[place], free[other] = free[other], free[place]
        return free[:count]

    def words(self, items: Iterable[str]) -> frozenset[str]:
        return frozenset(items)


def names_of_version_1() -> frozenset[str]:
    """The names of `test` in data 1.x."""
    return frozenset(_read_list("names_test_1.txt"))


def names_of_test() -> frozenset[str]:
    """The names of `test` in all versions of the data: what is trained without them can be measured on any of these."""
    people = People("test")
    return names_of_version_1().union(people.first_names, people.last_names)


@cache
def capitalised_in_texts_of_test() -> frozenset[str]:
    """The words with a capital in the project's own texts of `test`; all names of people in them are among these."""
    files = sorted(SOURCES / name for name in ("dialogues.yaml", "paraphrases.yaml"))
    return frozenset(word for file in files for word in re.findall("[A-Z][a-z]+", file.read_text(encoding="utf-8")))


def _made_up_people(split: str) -> MadeUpPeople:
    del split
    listed = People("train")
    return MadeUpPeople(
        names=(*listed.first_names, *listed.last_names), forbidden=names_of_test() | capitalised_in_texts_of_test()
    )


POOLS: dict[str, Callable[[str], Pool]] = {"people": People, "made_up_people": _made_up_people, "letters": Letters}

# Those that a config may name; made-up people take the place of `people` where training data wants it.
ITEMS = ("people", "letters")


def pool_of(config: TaskConfig, split: str) -> Pool:
    """The pool that a list task draws from: the user's own items where there are some."""
    return UserItems(config.pool) if config.pool else POOLS[config.items](split)


@cache
def _read_list(name: str) -> tuple[str, ...]:
    return tuple((SOURCES / name).read_text(encoding="utf-8").split())
