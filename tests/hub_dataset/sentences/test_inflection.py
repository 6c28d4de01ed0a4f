"""Tests of inflection: articles by sound, plurals, verb forms, comparatives."""

import pytest

from hub_dataset.sentences.inflection import Noun, Verb, comparative, read_noun, read_verb, with_article


@pytest.mark.parametrize(
    ("article", "words"),
    [
        ("an", "apple honest hour herb heirloom umbrella unimportant old x-ray egg"),
        ("a", "banana university useful unicorn uniform european yellow house one-way utensil youthful usual"),
    ],
)
def test_article_follows_the_sound(article, words):
    for word in words.split():
        assert with_article(f"{word} thing") == f"{article} {word} thing"


@pytest.mark.parametrize(
    ("entry", "noun"),
    [
        ("spoon", ("spoon", "spoons")),
        ("knife/knives", ("knife", "knives")),
        ("bread~", ("bread", "")),
        ("berry", ("berry", "berries")),
        ("monkey", ("monkey", "monkeys")),
        ("box", ("box", "boxes")),
        ("bench", ("bench", "benches")),
        ("sheep/sheep", ("sheep", "sheep")),
    ],
)
def test_nouns_and_their_plurals(entry, noun):
    assert read_noun(entry) == Noun(*noun)


@pytest.mark.parametrize(
    ("entry", "forms"),
    [
        ("cook", "cook cooks cooked cooked cooking"),
        ("bake", "bake bakes baked baked baking"),
        ("chop+", "chop chops chopped chopped chopping"),
        ("carry", "carry carries carried carried carrying"),
        ("play", "play plays played played playing"),
        ("watch", "watch watches watched watched watching"),
        ("eat ate eaten", "eat eats ate eaten eating"),
        ("sit+ sat sat", "sit sits sat sat sitting"),
        ("see saw seen", "see sees saw seen seeing"),
        ("dye", "dye dyes dyed dyed dyeing"),
        ("go went gone", "go goes went gone going"),
    ],
)
def test_verbs_and_their_forms(entry, forms):
    assert read_verb(entry) == Verb(*forms.split())


def test_particle_follows_every_form_and_a_stative_verb_is_marked():
    assert read_verb("put+_off put put") == ("put off", "puts off", "put off", "put off", "putting off", False)
    assert read_verb("need!") == ("need", "needs", "needed", "needed", "needing", True)


@pytest.mark.parametrize(
    ("adjective", "form"),
    [
        ("big", "bigger"),
        ("old", "older"),
        ("large", "larger"),
        ("heavy", "heavier"),
        ("expensive", "more expensive"),
        ("famous", "more famous"),
        ("good", "better"),
        ("quiet", "quieter"),
        ("gray", "grayer"),
        ("pale", "paler"),
        ("gentle", "gentler"),
        ("new", "newer"),
    ],
)
def test_comparatives(adjective, form):
    assert comparative(adjective) == form
