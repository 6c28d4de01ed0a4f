"""The words that sentences are made of, read from `sources/lexicon.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from ..text_sources import SOURCES
from ..yaml_files import read_mapping
from .inflection import Noun, Verb, read_noun, read_verb

LEXICON = SOURCES / "lexicon.yaml"
# Classes of nouns that things are done to.
OBJECTS = ("person", "animal", "food", "thing", "text", "vehicle", "plant", "topic")


@dataclass(frozen=True, slots=True)
class Scene:
    """Words that belong together, each dictionary keyed by class of noun.

    `objects` are the classes that have both nouns and verbs; `verbs["alone"]` take no object; `graded` are the
    adjectives of which there is more and less.
    """

    nouns: dict[str, tuple[Noun, ...]]
    verbs: dict[str, tuple[Verb, ...]]
    adjectives: dict[str, tuple[str, ...]]
    graded: dict[str, tuple[str, ...]]
    places: tuple[str, ...]
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The scenes of a vocabulary, the words that go with any of them, and names of people."""

    scenes: tuple[Scene, ...]
    # Whether all of a sentence's words come from one scene.
    one_scene: bool
    manners: tuple[str, ...]
    degrees: tuple[str, ...]
    times: dict[str, tuple[str, ...]]
    names: tuple[str, ...]
    # Word (a verb's base, a noun's singular) → another of nearly the same meaning.
    other_verbs: dict[str, Verb]
    other_nouns: dict[str, Noun]
    other_words: dict[str, str]
    opposites: tuple[tuple[str, str], ...]


@cache
def read_lexicon(vocabulary: str) -> Lexicon:
    """The lexicon of one of `sentences.VOCABULARIES`."""
    content = read_mapping(LEXICON)
    general = content["general"]
    group = "technical" if vocabulary == "technical" else "everyday"
    synonyms = general["synonyms"]
    unusual = set(_entries(general["unusual_names"]))
    listed = (SOURCES / "first_names_train.txt").read_text(encoding="utf-8").split()
    return Lexicon(
        scenes=tuple(_scene(scene, general) for scene in content[group].values()),
        one_scene=vocabulary == "everyday",
        manners=_entries(general["adverbs"]["manner"]),
        degrees=_entries(general["adverbs"]["degree"]),
        times={kind: _entries(times) for kind, times in general["times"].items()},
        names=tuple(name for name in listed if name not in unusual),
        other_verbs={read_verb(one).base: read_verb(other) for one, other in _pairs(synonyms["verbs"])},
        other_nouns={read_noun(one).singular: read_noun(other) for one, other in _pairs(synonyms["nouns"])},
        other_words=dict(_pairs(", ".join(synonyms[kind] for kind in ("adjectives", "times", "places")))),
        opposites=tuple((one, other) for one, other in map(str.split, _entries(general["opposites"]))),
    )


def _scene(scene: dict[str, Any], general: dict[str, Any]) -> Scene:
    nouns = {kind: tuple(read_noun(entry) for entry in _entries(scene[kind])) for kind in OBJECTS if kind in scene}
    own, shared = scene.get("verbs", {}), general["verbs"]
    kinds = (*OBJECTS, "alone", "animal_alone")
    # A scene's own words stand twice: they are what makes it one.
    verbs = {
        kind: tuple(read_verb(entry) for entry in _entries(own.get(kind)) * 2 + _entries(shared.get(kind)))
        for kind in kinds
    }
    own, shared = scene.get("adjectives", {}), general["adjectives"]
    adjectives = {kind: tuple(dict.fromkeys(_entries(own.get(kind)) + _entries(shared.get(kind)))) for kind in OBJECTS}
    ungraded = set(_entries(general["ungraded"]))
    graded = {kind: tuple(word for word in words if word not in ungraded) for kind, words in adjectives.items()}
    objects = tuple(kind for kind in nouns if kind != "person")
    return Scene(nouns, verbs, adjectives, graded, _entries(scene["place"]), objects)


def _entries(line: str | None) -> tuple[str, ...]:
    return tuple(line.split(", ")) if line else ()


def _pairs(line: str) -> list[tuple[str, str]]:
    return [(one, other) for one, _, other in (entry.partition(" = ") for entry in _entries(line))]
