"""Paraphrases without end: one meaning put into two templates, with synonyms where the lexicon has them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from string import Formatter
from typing import NamedTuple

from ..randomness import Stream
from ..text_sources import SOURCES
from ..yaml_files import read_mapping
from .inflection import Verb, comparative, with_article
from .lexicon import Lexicon, Scene, read_lexicon
from .phrases import FIRST, HAS, IS, PLURAL, SINGULAR, WAS, Composer, present

GRAMMAR = SOURCES / "paraphrase_grammar.yaml"

_PRONOUNS = (
    ("I", "me", FIRST),
    ("we", "us", PLURAL),
    ("they", "them", PLURAL),
    ("she", "her", SINGULAR),
    ("he", "him", SINGULAR),
    ("you", "you", PLURAL),
)
_DETERMINERS = ("the", "the", "a", "my", "our", "your", "this")
_COUNTS = ("the", "two", "three", "some", "several", "our", "these", "many")
_AMOUNTS = ("the", "some", "the", "a lot of")
_LONG = (
    ("two hours", "a couple of hours"),
    ("half an hour", "thirty minutes"),
    ("a week", "seven days"),
    ("two weeks", "fourteen days"),
    ("a whole year", "twelve months"),
    ("a minute", "sixty seconds"),
    ("three days", "seventy-two hours"),
)
_JUDGED = (
    ("difficult", "hard"),
    ("dangerous", "risky"),
    ("important", "essential"),
    ("boring", "dull"),
    ("enjoyable", "pleasant"),
    ("useful", "helpful"),
    ("stressful", "exhausting"),
    ("strange", "odd"),
)
# Verbs that templates bring along, by the slot that stands for them: as a singular and another subject says them.
_WISHES = {
    "plan_s": ("plans", "plan"),
    "intend_s": ("intends", "intend"),
    "want_s": ("wants", "want"),
    "hope_s": ("hopes", "hope"),
}


class Phrase(NamedTuple):
    """A phrase in two wordings, with its number; `object_case` are the two where it is not the subject."""

    wordings: tuple[str, str]
    number: int
    object_case: tuple[str, str]


class Templates(NamedTuple):
    """Templates of equal meaning and the kind of time that they speak of; `noun_only` ask for no pronoun."""

    time: str
    all: tuple[str, ...]
    noun_only: bool


class ParaphraseGrammar:
    """Sentences in two wordings, with the words of a vocabulary (one of `sentences.VOCABULARIES`)."""

    def __init__(self, vocabulary: str) -> None:
        self._lexicon = read_lexicon(vocabulary)
        self._groups = read_grammar()

    def draw(self, draw: Stream) -> tuple[str, str]:
        """A sentence and a paraphrase of it."""
        composer = Composer(draw, self._lexicon)
        templates = composer.pick(self._groups)
        meaning = Meaning(composer, templates)
        first = int(draw() * len(templates.all))
        second = (first + 1 + int(draw() * (len(templates.all) - 1))) % len(templates.all)
        side = int(draw() * 2)
        return meaning.worded(templates.all[first], side), meaning.worded(templates.all[second], 1 - side)


@cache
def read_grammar() -> tuple[Templates, ...]:
    """The groups of templates in `sources/paraphrase_grammar.yaml`."""
    groups = []
    for name, templates in read_mapping(GRAMMAR).items():
        slots = {slot for template in templates for _, slot, _, _ in Formatter().parse(template)}
        groups.append(Templates(name.partition(":")[2], tuple(templates), "n" in slots))
    return tuple(groups)


class Meaning:
    """What is said, of which each part is drawn when a template first asks for it, and is then the same in all."""

    def __init__(self, composer: Composer, templates: Templates) -> None:
        self._composer = composer
        self._templates = templates

    def worded(self, template: str, side: int) -> str:
        """The template filled with the first (0) or second (1) wordings, as a sentence."""
        text = template.format_map(_Slots(self, side))
        return text[0].upper() + text[1:]

    @cached_property
    def subject(self) -> Phrase:
        c = self._composer
        if not self._templates.noun_only and c.chance(0.4):
            text, object_case, number = c.pick(_PRONOUNS)
            return Phrase((text, text), number, (object_case, object_case))
        return self._somebody(0.45)

    def _somebody(self, named: float) -> Phrase:
        c = self._composer
        if c.chance(named):
            name = c.pick(c.lexicon.names)
            return Phrase((name, name), SINGULAR, (name, name))
        return noun_phrase(c, c.scene(), "person")

    @cached_property
    def deed(self) -> tuple[Verb, Verb, Phrase]:
        """A verb, its synonym, and what is acted on."""
        c = self._composer
        scene = c.scene()
        kind = c.pick(scene.objects)
        verb = c.verb(scene, kind, stative=False)
        return verb, c.lexicon.other_verbs.get(verb.base, verb), noun_phrase(c, scene, kind)

    @cached_property
    def place(self) -> tuple[str, str]:
        return _both(self._composer.lexicon, self._composer.place())

    @cached_property
    def time(self) -> tuple[str, str]:
        return _both(self._composer.lexicon, self._composer.time(self._templates.time))

    @cached_property
    def first_clause(self) -> tuple[str, str]:
        return self._clause("past")

    @cached_property
    def second_clause(self) -> tuple[str, str]:
        return self._clause("past")

    @cached_property
    def present_clause(self) -> tuple[str, str]:
        return self._clause("present")

    def _clause(self, tense: str) -> tuple[str, str]:
        other = Meaning(self._composer, self._templates)
        subject, (verb, synonym, thing) = other.subject, other.deed
        form = present(subject.number) if tense == "present" else tense
        ways = zip(subject.wordings, (verb, synonym), thing.object_case, strict=True)
        first, second = (f"{who} {getattr(done, form)} {what}" for who, done, what in ways)
        return first, second

    @cached_property
    def description(self) -> tuple[str, str]:
        c = self._composer
        scene = c.scene()
        kind = c.pick((*scene.objects, "person"))
        thing = noun_phrase(c, scene, kind, definite=True)
        adjectives = _both(c.lexicon, c.graded(scene, kind))
        degree = c.pick(("very", "rather", "quite", "too"))
        first, second = (
            f"{what} {WAS[thing.number]} {degree} {how}" for what, how in zip(thing.wordings, adjectives, strict=True)
        )
        return first, second

    @cached_property
    def compared(self) -> tuple[Phrase, Phrase, str, str]:
        """Two things, an adjective that the first deserves more, and its opposite."""
        c = self._composer
        scene = c.scene()
        kind = c.pick(tuple(kind for kind in scene.objects if kind in ("thing", "vehicle", "text", "animal", "plant")))
        first, second = (noun_phrase(c, scene, kind, definite=True, plain=True) for _ in range(2))
        pairs = [pair for pair in c.lexicon.opposites if pair[0] in scene.adjectives[kind]]
        adjective, opposite = c.pick(pairs or [("big", "small")])
        return first, second, adjective, opposite

    @cached_property
    def thing(self) -> Phrase:
        c = self._composer
        scene = c.scene()
        return noun_phrase(c, scene, c.pick(scene.objects), indefinite=True)

    @cached_property
    def person(self) -> Phrase:
        return self._somebody(0.3)

    @cached_property
    def duration(self) -> tuple[str, str]:
        return self._composer.pick(_LONG)

    @cached_property
    def judgement(self) -> tuple[str, str]:
        return self._composer.pick(_JUDGED)


class _Slots(dict[str, str]):
    """The slots of a template, filled when they are asked for."""

    def __init__(self, meaning: Meaning, side: int) -> None:
        super().__init__()
        self._meaning = meaning
        self._side = side

    def __missing__(self, slot: str) -> str:
        return _fill(self._meaning, self._side, slot)


def _fill(meaning: Meaning, side: int, slot: str) -> str:
    if slot in _WORDINGS:
        return _WORDINGS[slot](meaning)[side]
    if slot in _VERB_FORMS:
        verb = meaning.deed[0] if side == 0 else meaning.deed[1]
        return str(getattr(verb, _VERB_FORMS[slot] or present(meaning.subject.number)))
    if slot in _WISHES:
        return _WISHES[slot][meaning.subject.number != SINGULAR]
    auxiliary, _, role = slot.partition("_")
    return _AUXILIARIES[auxiliary][_NUMBERED[role](meaning).number]


_WORDINGS: dict[str, Callable[[Meaning], tuple[str, str]]] = {
    "s": lambda meaning: meaning.subject.wordings,
    "n": lambda meaning: meaning.subject.wordings,
    "s_obj": lambda meaning: meaning.subject.object_case,
    "o": lambda meaning: meaning.deed[2].wordings,
    "a": lambda meaning: meaning.compared[0].wordings,
    "b": lambda meaning: meaning.compared[1].wordings,
    "x": lambda meaning: meaning.thing.wordings,
    "person": lambda meaning: meaning.person.wordings,
    "p": lambda meaning: meaning.place,
    "t": lambda meaning: meaning.time,
    "did": lambda meaning: meaning.first_clause,
    "did2": lambda meaning: meaning.second_clause,
    "would": lambda meaning: meaning.present_clause,
    "was": lambda meaning: meaning.description,
    "long": lambda meaning: meaning.duration,
    "judged": lambda meaning: meaning.judgement,
    "adj": lambda meaning: (meaning.compared[2],) * 2,
    "more": lambda meaning: (comparative(meaning.compared[2]),) * 2,
    "less": lambda meaning: (comparative(meaning.compared[3]),) * 2,
}
# Slot → field of `Verb`; the present depends on the subject.
_VERB_FORMS = {"base": "base", "past": "past", "pp": "participle", "ing": "progressive", "pres": ""}
_AUXILIARIES = {"is": IS, "was": WAS, "has": HAS, "be": IS}
# What an auxiliary agrees with: `was_o` is "was" or "were", as the thing acted on says.
_NUMBERED: dict[str, Callable[[Meaning], Phrase]] = {
    "s": lambda meaning: meaning.subject,
    "o": lambda meaning: meaning.deed[2],
    "a": lambda meaning: meaning.compared[0],
    "b": lambda meaning: meaning.compared[1],
    "x": lambda meaning: meaning.thing,
    "person": lambda meaning: meaning.person,
}


def noun_phrase(
    c: Composer, scene: Scene, kind: str, *, definite: bool = False, indefinite: bool = False, plain: bool = False
) -> Phrase:
    """A noun with its determiner, perhaps an adjective (never a `plain` one), and the same with synonyms."""
    noun = c.noun(scene, kind)
    adjective = "" if plain or not c.chance(0.35) else c.adjective(scene, kind)
    other = c.lexicon.other_nouns.get(noun.singular, noun)
    if not noun.plural:
        determiner, number = c.pick(("some", "a lot of") if indefinite else _AMOUNTS), SINGULAR
    elif c.chance(0.3):
        determiner, number = c.pick(("two", "three", "some", "several") if indefinite else _COUNTS), PLURAL
    else:
        determiner, number = "a" if indefinite else c.pick(_DETERMINERS), SINGULAR
    if definite:
        determiner = "the"
    adjectives = _both(c.lexicon, adjective)
    wordings = []
    for described, named in zip(adjectives, (noun, other), strict=True):
        words = f"{described} " * bool(described) + (named.plural if number == PLURAL else named.singular)
        wordings.append(with_article(words) if determiner == "a" else f"{determiner} {words}")
    first, second = wordings
    return Phrase((first, second), number, (first, second))


def _both(lexicon: Lexicon, words: str) -> tuple[str, str]:
    return words, lexicon.other_words.get(words, words)
