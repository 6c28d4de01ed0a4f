"""Asks LanguageTool about a sample of all that the grammar makes."""

import os
import random

import pytest

from hub_dataset.grammar import URL_VARIABLE, GrammarChecker
from hub_dataset.sentences import VOCABULARIES
from hub_dataset.sentences.dialogues import DialogueGrammar
from hub_dataset.sentences.paraphrases import ParaphraseGrammar
from hub_dataset.sentences.sentences import SentenceGrammar

# Texts of each kind that are asked about, and the share in which nothing may be found.
SAMPLE = 200
CLEAN = 0.97


def sentences(vocabulary, draw):
    grammar = SentenceGrammar(vocabulary)
    return [grammar.draw(draw, 3 + number % 5)[0] for number in range(SAMPLE)]


def paraphrases(vocabulary, draw):
    grammar = ParaphraseGrammar(vocabulary)
    return [text for _ in range(SAMPLE // 2) for text in grammar.draw(draw)]


def dialogues(vocabulary, draw):
    grammar = DialogueGrammar(vocabulary)
    return [text for _ in range(SAMPLE // 2) for text in grammar.draw(draw)]


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get(URL_VARIABLE), reason=f"{URL_VARIABLE} names no LanguageTool server")
@pytest.mark.parametrize(
    ("make", "vocabulary"),
    [
        *[(sentences, vocabulary) for vocabulary in VOCABULARIES],
        (paraphrases, "everyday"),
        (paraphrases, "technical"),
        (dialogues, "everyday"),
    ],
)
def test_languagetool_finds_nothing_in_nearly_all_texts(make, vocabulary):
    texts = make(vocabulary, random.Random(0).random)
    findings = GrammarChecker(os.environ[URL_VARIABLE]).findings(texts)
    flagged = [(text, rules) for text, rules in zip(texts, findings, strict=True) if rules]
    assert len(flagged) <= (1 - CLEAN) * len(texts), flagged
