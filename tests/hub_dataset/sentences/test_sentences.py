"""Tests of made sentences: they hold their words, agree, vary, and are the same from the same stream."""

import random
import re

import pytest

from hub_dataset.sentences import VOCABULARIES
from hub_dataset.sentences.sentences import MOST_WORDS, SentenceGrammar


def drawn(vocabulary, length, count, seed=0):
    grammar, draw = SentenceGrammar(vocabulary), random.Random(seed).random
    return [grammar.draw(draw, length) for _ in range(count)]


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@pytest.mark.parametrize("length", range(1, MOST_WORDS + 1))
def test_sentence_holds_its_words_as_they_are_written(vocabulary, length):
    for sentence, words in drawn(vocabulary, length, 150):
        assert re.fullmatch(r"[A-Z][A-Za-z ,'-]*[.?!]", sentence), sentence
        assert len(words) == len(set(words)) == length
        for word in words:
            assert re.search(rf"\b{word}\b", sentence), (word, sentence)
            assert not any(word in other for other in words if other != word)
        assert len(sentence.split()) <= 35


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_articles_and_auxiliaries_agree(vocabulary):
    for sentence, _ in drawn(vocabulary, 4, 3000):
        assert not re.search(r"\b(\w+) \1\b", sentence), sentence
        assert not re.search(r"\b[Aa] (?!useful|uni|eu|one|utensil)[aeiou]", sentence), sentence
        assert not re.search(r"\b[Aa]n (?!hour|honest|heir|herb)[^aeiou]", sentence), sentence
        assert not re.search(r"\b[Hh]e (are|were|have)\b|\b[Tt]hey (is|was|has)\b|\bI (is|are|has|were)\b", sentence)


def test_hardly_any_sentence_comes_twice_and_all_kinds_occur():
    sentences = [sentence for sentence, _ in drawn("everyday", 4, 4000)]
    assert len(set(sentences)) > 3950
    for sign in (
        "?",
        " who ",
        " because ",
        "There ",
        " than ",
        "Please ",
        ", and ",
        " were ",
        " has ",
        " will ",
        " to ",
    ):
        assert sum(sign in sentence for sentence in sentences) > 20, sign


def test_given_words_are_of_every_kind_and_in_any_order():
    rows = drawn("everyday", 4, 2000)
    in_order = sum(
        [sentence.index(word) for word in words] == sorted(map(sentence.index, words)) for sentence, words in rows
    )
    assert 0.01 < in_order / len(rows) < 0.15
    words = {word for _, words in rows for word in words}
    assert len(words) > 700
    assert {"eat", "kitchen", "quickly", "coats", "hot"} <= {
        word for _, words in drawn("everyday", 4, 9000) for word in words
    }


def test_same_stream_gives_the_same_sentences_and_another_gives_others():
    assert drawn("mixed", 5, 50, seed=3) == drawn("mixed", 5, 50, seed=3)
    assert drawn("mixed", 5, 50, seed=3) != drawn("mixed", 5, 50, seed=4)


def test_more_words_than_a_sentence_holds_are_refused():
    with pytest.raises(ValueError, match=f"length is {MOST_WORDS + 1}"):
        drawn("mixed", MOST_WORDS + 1, 1)
