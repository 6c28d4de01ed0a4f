"""Dialogues without end between two people, each with a summary, from the scenes in `sources/dialogue_grammar.yaml`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..randomness import Stream, pick
from ..text_sources import SOURCES
from ..yaml_files import read_mapping
from .inflection import with_article
from .lexicon import read_lexicon

GRAMMAR = SOURCES / "dialogue_grammar.yaml"

# A value's part that stands for the possessive of the first speaker's name.
_OF_FIRST = "A's"
_TOKENS = re.compile(r"[\[\]|]|\{[^}]*\}|[^\[\]|{}]+")
# A template: texts, slots, and choices among templates, in their order.
Template = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot of a template and what of its value is wanted: a part by number, `a` (with article) or `!` (capital)."""

    name: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Scene:
    """What is talked about: values for its slots, turns (those in a group come or stay away together), summaries."""

    slots: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    turns: tuple[tuple[Template, ...], ...]
    summaries: tuple[Template, ...]


class DialogueGrammar:
    """Dialogues of four to eight turns between two people with names of the training lists."""

    def __init__(self, vocabulary: str) -> None:
        self._names = read_lexicon(vocabulary).names
        self._scenes = read_scenes()

    def draw(self, draw: Stream) -> tuple[str, str]:
        """A dialogue, one turn a line, and its summary."""
        scene = pick(draw, self._scenes)
        values: dict[str, str] = {}
        for names, among in (*scene.slots, (("A", "B"), self._names)):
            for name in names:
                while (value := pick(draw, among)) in (values.get(other) for other in names):
                    pass
                values[name] = value
        lines = []
        for group in scene.turns:
            if len(group) == 1 or draw() < 0.5:
                lines += [_fill(turn, values, draw) for turn in group]
        turns = "\n".join(f"{values[line[0]]}{line[1:]}" for line in lines)
        summary = _fill(pick(draw, scene.summaries), values, draw)
        return turns, summary[0].upper() + summary[1:]


@cache
def read_scenes() -> tuple[Scene, ...]:
    """The scenes of the grammar."""
    return tuple(_scene(scene) for scene in read_mapping(GRAMMAR)["scenes"])


def _scene(scene: dict[str, Any]) -> Scene:
    groups = [turn if isinstance(turn, list) else [turn] for turn in scene["turns"]]
    return Scene(
        slots=tuple((tuple(names.split(", ")), tuple(values)) for names, values in scene["slots"].items()),
        turns=tuple(tuple(_read(turn) for turn in group) for group in groups),
        summaries=tuple(_read(summary) for summary in scene["summary"]),
    )


def _read(text: str) -> Template:
    """Parses a template; raises ValueError where a bracket is not closed."""
    tokens = _TOKENS.findall(text)
    template, rest = _read_parts(tokens, 0)
    if rest != len(tokens):
        raise ValueError(f"{GRAMMAR.name}: {text!r} has a bracket too many")
    return template


def _read_parts(tokens: list[str], place: int) -> tuple[Template, int]:
    parts: list[Any] = []
    while place < len(tokens) and tokens[place] not in ("|", "]"):
        token = tokens[place]
        if token == "[":
            choices = []
            while tokens[place] != "]":
                choice, place = _read_parts(tokens, place + 1)
                choices.append(choice)
                if place == len(tokens):
                    raise ValueError(f"{GRAMMAR.name}: {''.join(tokens)!r} has an open bracket")
            parts.append(tuple(choices))
        elif token.startswith("{"):
            name, _, wanted = token[1:-1].partition(".")
            parts.append(Slot(name.rstrip("!"), "!" if name.endswith("!") else wanted))
        else:
            parts.append(token)
        place += 1
    return tuple(parts), place


def _fill(template: Template, values: dict[str, str], draw: Stream) -> str:
    texts = []
    for part in template:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Slot):
            texts.append(_value(part, values))
        else:
            texts.append(_fill(pick(draw, part), values, draw))
    return "".join(texts)


def _value(slot: Slot, values: dict[str, str]) -> str:
    parts = values[slot.name].split("/")
    if slot.wanted == "a":
        return with_article(parts[0])
    if slot.wanted == "!":
        return parts[0][0].upper() + parts[0][1:]
    # A value of one part is the same from every side.
    part = parts[min(int(slot.wanted or 1), len(parts)) - 1]
    return f"{values['A']}'s" if part == _OF_FIRST else part
