"""Grammatical sentences without end, each with the content words that it holds."""

from __future__ import annotations

from ..randomness import Stream
from .compound_patterns import COMPOUND
from .lexicon import read_lexicon
from .phrases import Composer
from .simple_patterns import SIMPLE

# Content words that a sentence can always be found for.
MOST_WORDS = 8


class SentenceGrammar:
    """Sentences in the words of a vocabulary (one of `sentences.VOCABULARIES`)."""

    def __init__(self, vocabulary: str) -> None:
        self._lexicon = read_lexicon(vocabulary)

    def draw(self, draw: Stream, length: int) -> tuple[str, list[str]]:
        """A sentence with at least `length` content words, and these words as they stand in it, in random order.

        No word stands in another of them. Raises ValueError for a `length` above `MOST_WORDS`.
        """
        if length > MOST_WORDS:
            raise ValueError(f"length is {length}; a generated sentence has {MOST_WORDS} content words at most")
        patterns = SIMPLE if length <= 3 else SIMPLE + COMPOUND if length == 4 else COMPOUND
        rich = 0.2 if length <= 3 else 0.45 if length <= 5 else 0.7
        while True:
            composer = Composer(draw, self._lexicon, rich)
            text = composer.pick(patterns)(composer)
            sentence = text[0].upper() + text[1:]
            if sentence[-1] not in "?!":
                sentence += "."
            words = _choose(draw, composer.words, sentence, length)
            if words:
                return sentence, words


def _choose(draw: Stream, words: list[str], sentence: str, length: int) -> list[str]:
    """`length` of the words, in random order; none where there are not so many."""
    left = list(words)
    chosen: list[str] = []
    while left and len(chosen) < length:
        place = int(draw() * len(left))
        left[place], left[-1] = left[-1], left[place]
        word = left.pop()
        # The first word of a sentence stands there with a capital letter.
        if word in sentence and not any(word in other or other in word for other in chosen):
            chosen.append(word)
    return chosen if len(chosen) == length else []
