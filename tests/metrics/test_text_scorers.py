"""The rules of the text scorers."""

import pytest


@pytest.fixture(scope="module")
def texts(part):
    return part("text_scorers")


@pytest.mark.parametrize(
    ("text", "inclusion"),
    [
        ("The river met a lantern.", 1.0),
        ("rivers, lanterns", 1.0),
        ("The River met a lantern.", 0.0),
        ("The river.", 0.0),
        ("", 0.0),
    ],
)
def test_inclusion_wants_every_word_as_a_substring_with_its_case(texts, text, inclusion):
    assert texts.score_words_to_sentence(text, ["river", "lantern"])["inclusion"] == inclusion


@pytest.mark.parametrize(
    ("inclusion", "grammatical", "score"), [(1, True, 1), (1, False, 0), (0, True, 0), (0, False, 0)]
)
def test_grammar_multiplies_the_score_and_is_the_headline(texts, inclusion, grammatical, score):
    scores = texts.apply_grammar({"inclusion": inclusion, "score": inclusion}, "Text.", grammatical)
    assert scores == {"inclusion": inclusion, "grammar": grammatical, "score": score, "headline": grammatical}


def test_without_a_verdict_grammar_score_and_headline_are_left_out(texts):
    assert texts.apply_grammar({"inclusion": 1.0, "score": 1.0}, "Text.", None) == {"inclusion": 1.0}


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_a_blank_text_is_never_grammatical(texts, text):
    assert texts.apply_grammar({"score": 1.0}, text, True) == {"grammar": 0.0, "score": 0.0, "headline": 0.0}
