"""How people are drawn, wherever their names come from."""

from __future__ import annotations

from collections.abc import Iterable

from ..randomness import Stream


class PeoplePool:
    """People with a first and a last name; a row may repeat a name, but never a person.

    A subclass says where the names come from.
    """

    def draw_names(self, draw: Stream) -> tuple[str, str]:
        """A first and a last name."""
        raise TypeError(f"{type(self).__name__} does not say where names come from: define draw_names(draw)")

    def draw(self, draw: Stream, count: int, avoid: frozenset[str]) -> list[str]:
        """`count` distinct people, none of whose names is in `avoid`."""
        people: list[str] = []
        while len(people) < count:
            first, last = self.draw_names(draw)
            if first in avoid or last in avoid:
                continue
            person = f"{first} {last}"
            if person not in people:
                people.append(person)
        return people

    def words(self, items: Iterable[str]) -> frozenset[str]:
        """The names that these people have."""
        return frozenset(" ".join(items).split())
