"""Tests of made dialogues: two speakers who take turns, a summary in the third person, templates that are whole."""

import random
import re
from itertools import pairwise

import pytest

from hub_dataset.sentences.dialogues import DialogueGrammar, Slot, _read, read_scenes
from hub_dataset.text_files import read_dialogues
from hub_dataset.text_sources import SOURCES


def drawn(count, seed=0):
    grammar, draw = DialogueGrammar("everyday"), random.Random(seed).random
    return [grammar.draw(draw) for _ in range(count)]


def slots_of(template):
    for part in template:
        if isinstance(part, Slot):
            yield part.name
        elif isinstance(part, tuple):
            for choice in part:
                yield from slots_of(choice)


def test_every_slot_of_a_scene_has_values_and_is_used():
    scenes = read_scenes()
    assert len(scenes) >= 15
    for scene in scenes:
        given = {name for names, _ in scene.slots for name in names}
        templates = [turn for group in scene.turns for turn in group] + list(scene.summaries)
        used = {name for template in templates for name in slots_of(template)}
        assert used <= given | {"A", "B"}
        for names, values in scene.slots:
            assert len(set(values)) == len(values) >= len(names)


def test_two_people_take_turns_and_the_summary_names_one_in_the_third_person():
    for dialogue, summary in drawn(3000):
        assert all(re.fullmatch(r"[A-Z][a-z]+: [A-Z].*[.?!]", line) for line in dialogue.splitlines()), dialogue
        speakers = [line.split(": ")[0] for line in dialogue.splitlines()]
        assert 4 <= len(speakers) <= 8
        assert len(set(speakers)) == 2
        assert all(first != second for first, second in pairwise(speakers))
        assert any(re.search(rf"\b{name}\b", summary) for name in speakers)
        assert not re.search(r"\b(I|we|you|my|our|your|me|us)\b", summary), summary
        assert re.fullmatch(r"[A-Z].*\.", summary)
        assert not re.search(r"[{}\[\]|/]| {2}| [.,?!]|\b[Aa] [aeio]", dialogue + summary), dialogue + summary
        assert 20 <= len(dialogue.split()) <= 150


def test_dialogues_vary_and_are_none_of_test():
    pairs = drawn(3000)
    assert len({dialogue for dialogue, _ in pairs}) > 2990
    assert len({summary for _, summary in pairs}) > 2800
    written = read_dialogues(SOURCES / "dialogues.yaml")
    assert not {text.answers[0] for text in written} & {summary for _, summary in pairs}


def test_same_stream_gives_the_same_dialogues():
    assert drawn(50, seed=5) == drawn(50, seed=5) != drawn(50, seed=6)


@pytest.mark.parametrize("text", ["[a|b", "a]", "[a|[b]"])
def test_bracket_without_a_partner_is_refused(text):
    with pytest.raises(ValueError, match="bracket"):
        _read(text)
