"""Phrases with agreement: subjects, objects and verbs in the form that goes with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from ..randomness import Stream, pick
from .inflection import Noun, Verb, comparative, with_article
from .lexicon import Lexicon, Scene

Item = TypeVar("Item")

# Grammatical number of a subject, as an index into the forms below.
SINGULAR, PLURAL, FIRST = 0, 1, 2
IS, WAS, HAS, DOES = ("is", "are", "am"), ("was", "were", "was"), ("has", "have", "have"), ("does", "do", "do")
_PRONOUNS = (
    ("I", FIRST, "my"),
    ("he", SINGULAR, "his"),
    ("she", SINGULAR, "her"),
    ("we", PLURAL, "our"),
    ("they", PLURAL, "their"),
    ("you", PLURAL, "your"),
)
_OWNERS = ("the", "the", "the", "my", "our", "your", "this", "that", "her", "his")
_COUNTS = ("two", "three", "four", "some", "many", "several", "the", "the", "these", "my", "our", "all the")
_AMOUNTS = ("some", "the", "the", "a lot of", "this", "my", "enough")


class Subject(NamedTuple):
    """Who or what does something, with its number and the possessive that refers to it."""

    text: str
    number: int
    owner: str = "the"


class Composer:
    """Draws the phrases of one text.

    `words` collects the content words as they stand in the text, in the order in which they were drawn; `rich` is the
    probability of an adjective before a noun.
    """

    def __init__(self, draw: Stream, lexicon: Lexicon, rich: float = 0.3) -> None:
        self.draw = draw
        self.lexicon = lexicon
        self.rich = rich
        self.words: list[str] = []
        self._used: set[object] = set()
        self._scene = self.pick(lexicon.scenes)

    def pick(self, items: Sequence[Item]) -> Item:
        """One of `items`."""
        return pick(self.draw, items)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.draw() < probability

    def scene(self) -> Scene:
        """The scene of the next phrase: always the same, or drawn anew, as the vocabulary says."""
        return self._scene if self.lexicon.one_scene else self.pick(self.lexicon.scenes)

    def content(self, word: str) -> str:
        """Notes `word` as one of the content words."""
        self.words.append(word)
        return word

    def noun(self, scene: Scene, kind: str) -> Noun:
        """A noun of this class, a new one if there is one."""
        return self._fresh(scene.nouns[kind])

    def adjective(self, scene: Scene, kind: str) -> str:
        """An adjective that describes nouns of this class."""
        return self.content(self._fresh(scene.adjectives[kind]))

    def graded(self, scene: Scene, kind: str) -> str:
        """An adjective of this class of which there is more and less: "old", not "wooden"."""
        return self.content(self._fresh(scene.graded[kind]))

    def person(self) -> Subject:
        """A person who is named by a noun."""
        scene = self.scene()
        noun = self.noun(scene, "person")
        described = self.adjective(scene, "person") + " " if self.chance(self.rich) else ""
        if self.chance(0.25):
            determiner = self.pick(("the", "two", "three", "some", "many", "our", "most"))
            return Subject(f"{determiner} {described}{self.content(noun.plural)}", PLURAL, "their")
        self.content(noun.singular)
        determiner = self.pick(("the", "the", "the", "a", "my", "our", "every", "that"))
        words = f"{described}{noun.singular}"
        return Subject(with_article(words) if determiner == "a" else f"{determiner} {words}", SINGULAR)

    def subject(self) -> Subject:
        """Somebody: a name, a pronoun, or a person who is named by a noun."""
        kind = self.draw()
        if kind < 0.2:
            return Subject(self.pick(self.lexicon.names), SINGULAR)
        if kind < 0.5:
            return Subject(*self.pick(_PRONOUNS))
        if kind < 0.56:
            first, second = self.pick(self.lexicon.names), self.pick(self.lexicon.names)
            return Subject(f"{first} and {second}" if first != second else first, int(first != second))
        return self.person()

    def verb(self, scene: Scene, kind: str, *, stative: bool = True) -> Verb:
        """A verb that takes objects of this class."""
        while True:
            verb = self._fresh(scene.verbs[kind])
            if stative or not verb.stative:
                return verb

    def object(self, scene: Scene, kind: str, owner: str = "the") -> str:
        """A noun phrase of this class; `owner` is a possessive that may stand before it."""
        return self.thing(scene, kind, owner).text

    def thing(self, scene: Scene, kind: str, owner: str = "the", *, definite: bool = False) -> Subject:
        """`object` with its number."""
        noun = self.noun(scene, kind)
        described = self.adjective(scene, kind) + " " if self.chance(self.rich) else ""
        if not noun.plural:
            words = described + self.content(noun.singular)
            return Subject(f"{'the' if definite else self.pick(_AMOUNTS)} {words}", SINGULAR)
        if self.chance(0.3):
            words = described + self.content(noun.plural)
            return Subject(f"{'the' if definite else self.pick(_COUNTS)} {words}", PLURAL)
        words = described + self.content(noun.singular)
        if definite or self.chance(0.25):
            return Subject(f"the {words}", SINGULAR)
        if self.chance(0.55):
            return Subject(with_article(words), SINGULAR)
        return Subject(f"{owner if self.chance(0.4) else self.pick(_OWNERS)} {words}", SINGULAR)

    def place(self) -> str:
        """A phrase that says where."""
        place = self.pick(self.scene().places)
        self.content(place.rpartition(" ")[2])
        return place

    def time(self, kind: str) -> str:
        """A phrase that says when: `past`, `habit` or `future`."""
        time = self.pick(self.lexicon.times[kind])
        word = time.rpartition(" ")[2]
        if word.islower() and word != "ago":
            self.content(word)
        return time

    def compared(self, scene: Scene, kind: str) -> str:
        """The comparative of an adjective of this class."""
        form = comparative(self._fresh(scene.graded[kind]))
        self.content(form.rpartition(" ")[2])
        return form

    def action(self, form: str, owner: str = "the", *, stative: bool = True) -> str:
        """A verb in one of its forms (a field of `Verb`) with its object: "peeled an onion"."""
        scene = self.scene()
        kind = self.pick(scene.objects) if self.chance(0.85) else "person"
        verb = self.verb(scene, kind, stative=stative and form != "progressive")
        self.content(_head(getattr(verb, form)))
        if kind == "person":
            noun = self.noun(scene, "person")
            word = self.content(noun.singular if self.chance(0.7) else noun.plural)
            return f"{getattr(verb, form)} {self.pick(('the', 'the', 'my', 'our'))} {word}"
        return f"{getattr(verb, form)} {self.object(scene, kind, owner)}"

    def alone(self, form: str) -> str:
        """A verb without an object in one of its forms."""
        verb = self._fresh(self.scene().verbs["alone"])
        return self.content(getattr(verb, form))

    def _fresh(self, items: Sequence[Item]) -> Item:
        # A word that is used twice reads badly; where there are few, it may happen.
        for _ in range(4):
            item = self.pick(items)
            if item not in self._used:
                break
        self._used.add(item)
        return item


def _head(form: str) -> str:
    return form.partition(" ")[0]


def present(number: int) -> str:
    """The field of `Verb` that a subject of this number takes in the present tense."""
    return "third" if number == SINGULAR else "base"


# Makes a sentence, but for its capital letter and full stop.
Pattern = Callable[[Composer], str]
