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


def test_a_suffix_names_the_rules_that_were_left_out(texts):
    scores = texts.apply_grammar({"inclusion": 1.0, "score": 1.0}, "Text.", True, "_no_spelling")
    assert scores == {
        "inclusion": 1.0,
        "grammar_no_spelling": 1.0,
        "score_no_spelling": 1.0,
        "headline_no_spelling": 1.0,
    }


def test_score_of_a_summary_is_its_rouge_l(texts):
    scores = texts.score_summary("A lamp was lit.", "The lamp was lit.")
    assert set(scores) == {"rouge1", "rouge2", "rouge_l", "score"}
    assert scores["score"] == scores["rouge_l"] == pytest.approx(3 / 4)
    assert texts.score_summary("", "The lamp was lit.")["score"] == 0.0


def test_score_of_a_paraphrase_is_likeness_in_other_words(texts, monkeypatch):
    class Encoder:
        def f1(self, predictions, references):
            return [0.9 if prediction.strip() else 0.0 for prediction in predictions]

    monkeypatch.setattr(texts, "bertscore", Encoder)
    text = "The lamp was lit by the door."
    rows = texts.score_paraphrases([text, "A light burnt near the entrance.", " "], [{"text": text}] * 3)
    assert rows[0] == {"bleu": 1.0, "bertscore": 0.9, "score": 0.0}
    assert rows[1] == {"bleu": 0.0, "bertscore": 0.9, "score": 0.9}
    assert rows[2] == {"bleu": 0.0, "bertscore": 0.0, "score": 0.0}
    near = texts.score_paraphrase("The lamp was lit by the gate.", text)
    assert 0.0 < near["bleu"] < 1.0
    assert near["score"] == pytest.approx((1 - near["bleu"]) * 0.9)
