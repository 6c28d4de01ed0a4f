"""Tests of made paraphrases: templates of one group speak of the same, and both wordings are whole sentences."""

import random
import re
from string import Formatter

from hub_dataset.sentences.paraphrases import _WORDINGS, ParaphraseGrammar, read_grammar

# Slots that stand for a part of another one's meaning.
PARTS = {"n": "s", "s_obj": "s", "more": "a", "less": "a", "adj": "a", "b": "a"}
DEED = {"base", "past", "pres", "pp", "ing", "o"}


def drawn(count, vocabulary="everyday", seed=0):
    grammar, draw = ParaphraseGrammar(vocabulary), random.Random(seed).random
    return [grammar.draw(draw) for _ in range(count)]


def meaning_of(template):
    slots = {slot for _, slot, _, _ in Formatter().parse(template) if slot}
    parts = {"deed" if slot in DEED else PARTS.get(slot, slot) for slot in slots}
    return {part for part in parts if part in _WORDINGS or part == "deed"}


def test_templates_of_a_group_speak_of_the_same_parts():
    groups = read_grammar()
    assert len(groups) >= 15
    for group in groups:
        assert len(group.all) >= 3
        assert len(set(group.all)) == len(group.all)
        assert len({frozenset(meaning_of(template)) for template in group.all}) == 1, group.all


def test_both_wordings_are_sentences_and_differ():
    for text, answer in drawn(3000):
        for sentence in (text, answer):
            assert re.fullmatch(r"[A-Z][A-Za-z ,'-]*[.?]", sentence), sentence
            assert not re.search(r"\b(\w+) \1\b", sentence), sentence
            assert not re.search(r"\b[Aa] (?!useful|uni|eu|one)[aeiou]", sentence), sentence
            assert not re.search(r"\b[Aa]n (?!hour|honest|heir|herb)[^aeiou]", sentence), sentence
        assert text.casefold() != answer.casefold()


def test_wordings_are_far_apart_and_keep_the_names():
    from rapidfuzz import fuzz

    pairs = [tuple(text.replace("Sundays", "Sunday") for text in pair) for pair in drawn(1000)]
    assert sum(fuzz.ratio(*pair) for pair in pairs) / len(pairs) < 75
    names = [set(re.findall(r"(?<!^)\b[A-Z][a-z]+", text)) - {"On", "I"} for text, _ in pairs]
    kept = [named <= set(re.findall(r"\b[A-Z][a-z]+", answer)) for named, (_, answer) in zip(names, pairs, strict=True)]
    assert all(kept)


def test_verbs_agree_with_their_subject():
    text = "\n".join(sentence for pair in drawn(4000, "technical") for sentence in pair)
    assert not re.search(r"\b([Hh]e|[Ss]he) (are|were|have|want|plan|hope|intend)\b", text)
    assert not re.search(r"\b([Tt]hey|[Ww]e|[Yy]ou|I) (is|was(?<!I was)|has|wants|plans|hopes|intends)\b", text)
    assert not re.search(r"\bby (I|he|she|they|we)\b", text)


def test_same_stream_gives_the_same_pairs():
    assert drawn(50, seed=5) == drawn(50, seed=5) != drawn(50, seed=6)
