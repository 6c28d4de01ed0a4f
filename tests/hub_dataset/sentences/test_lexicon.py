"""Tests of the lexicon: every entry can be read, forms are whole words, synonyms fit what they stand for."""

import re

import pytest

from hub_dataset.generators.pools import People
from hub_dataset.sentences import VOCABULARIES
from hub_dataset.sentences.lexicon import LEXICON, OBJECTS, read_lexicon
from hub_dataset.yaml_files import read_mapping


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_every_scene_has_people_things_places_and_words_for_them(vocabulary):
    for scene in read_lexicon(vocabulary).scenes:
        assert len(scene.nouns["person"]) >= 3
        assert scene.places
        assert set(scene.objects) < set(OBJECTS)
        for kind in scene.objects:
            assert len(scene.verbs[kind]) >= 2, (scene.nouns, kind)
            assert len(scene.graded[kind]) >= 2, (scene.nouns, kind)
            assert set(scene.graded[kind]) <= set(scene.adjectives[kind])
            # A list names three of a kind, and a passive needs a verb in the progressive's sense.
            assert len(scene.nouns[kind]) >= 2
            assert any(not verb.stative for verb in scene.verbs[kind])


def test_there_are_several_hundred_words():
    scenes = [scene for name in VOCABULARIES for scene in read_lexicon(name).scenes]
    nouns = {noun.singular for scene in scenes for group in scene.nouns.values() for noun in group}
    verbs = {verb.base for scene in scenes for group in scene.verbs.values() for verb in group}
    adjectives = {word for scene in scenes for group in scene.adjectives.values() for word in group}
    assert len(nouns) > 600
    assert len(verbs) > 200
    assert len(adjectives) > 190


def test_every_form_is_made_of_plain_words():
    for vocabulary in VOCABULARIES:
        lexicon = read_lexicon(vocabulary)
        for scene in lexicon.scenes:
            nouns = [form for group in scene.nouns.values() for noun in group for form in noun if form]
            verbs = [form for group in scene.verbs.values() for verb in group for form in verb[:5]]
            words = [word for group in scene.adjectives.values() for word in group]
            for form in (*nouns, *verbs, *words, *scene.places):
                assert re.fullmatch("[a-z]+([ -][a-z]+)*", form), form


def test_keys_of_the_file_are_those_that_are_read():
    content = read_mapping(LEXICON)
    for group in ("everyday", "technical"):
        for name, scene in content[group].items():
            kinds = set(scene) - {"place", "verbs", "adjectives"}
            assert kinds <= set(OBJECTS), name
            for part in ("verbs", "adjectives"):
                assert set(scene.get(part, {})) <= kinds, name


def test_synonyms_differ_and_can_be_counted_alike():
    lexicon = read_lexicon("everyday")
    scenes = [scene for name in VOCABULARIES for scene in read_lexicon(name).scenes]
    nouns = {noun.singular: noun for scene in scenes for group in scene.nouns.values() for noun in group}
    for word, other in lexicon.other_nouns.items():
        assert word != other.singular
        assert other.plural
        if word in nouns:
            assert nouns[word].plural, word
    for word, verb in lexicon.other_verbs.items():
        assert word != verb.base
    for one, other in (*lexicon.other_words.items(), *lexicon.opposites):
        assert one != other


def test_names_are_of_the_training_lists_without_those_that_look_like_slips():
    names = read_lexicon("everyday").names
    assert set(names) < set(People("train").first_names)
    assert not set(names) & set(People("test").first_names)
    assert "Nneka" not in names
