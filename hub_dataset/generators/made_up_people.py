"""People with made-up names, without end: what a model trained on the listed names alone would lack is variety."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from functools import cache

from ..randomness import Stream
from .people import PeoplePool

# Shares of the three kinds of words: pronounceable, random letters, and the rest: pieces of the listed training names
# joined anew. Pronounceable ones alone teach a model to pronounce, not to copy.
PRONOUNCEABLE = 0.4
RANDOM_LETTERS = 0.3

_ONSETS = ("", *"bcdfghjklmnprstvwz", "br", "ch", "cl", "dr", "fr", "gr", "kr", "pl", "sh", "sk", "st", "th", "tr")
_VOWELS = (*"aeiou", "ai", "ea", "ee", "ia", "io", "ou")
_CODAS = ("", "", "", "", *"dklmnrstx", "ck", "ld", "nd", "ng", "rn", "ss", "st")
_PIECE_LENGTHS = (2, 3, 4)
# Words of random letters have from 3 to 9 of them.
_FEWEST_LETTERS = 3
_LETTER_NUMBERS = 7


class MadeUpPeople(PeoplePool):
    """People whose first and last names are made up, and never a word of `forbidden`, whatever its case.

    `names` are the ones whose pieces are joined anew.
    """

    def __init__(self, names: Sequence[str], forbidden: Iterable[str]) -> None:
        self.syllables: list[str] = [onset + vowel + coda for onset in _ONSETS for vowel in _VOWELS for coda in _CODAS]
        self.pairs = [first + second for first in string.ascii_lowercase for second in string.ascii_lowercase]
        self.pieces = _pieces(tuple(names))
        self.forbidden = frozenset(word.lower() for word in forbidden)

    @property
    def size(self) -> int:
        # More than any row can use; the words of one kind alone are more than a million.
        return 10**6

    def draw_names(self, draw: Stream) -> tuple[str, str]:
        return self.draw_word(draw), self.draw_word(draw)

    def draw_word(self, draw: Stream) -> str:
        """One made-up name: an ASCII word, its first letter capital.

        Two or three syllables, three to nine letters, or two or three pieces; each number is equally likely.
        """
        while True:
            # The first draw decides on the kind and between two and three parts: every draw counts, millions are made.
            kind = draw()
            if PRONOUNCEABLE <= kind < PRONOUNCEABLE + RANDOM_LETTERS:
                parts, size = self.pairs, len(self.pairs)
                letters = [parts[int(draw() * size)] for _ in range(5)]
                word = "".join(letters)[: _FEWEST_LETTERS + int(draw() * _LETTER_NUMBERS)]
            else:
                if kind < PRONOUNCEABLE:
                    parts, three = self.syllables, kind < PRONOUNCEABLE / 2
                else:
                    parts, three = self.pieces, kind < (PRONOUNCEABLE + RANDOM_LETTERS + 1) / 2
                size = len(parts)
                word = parts[int(draw() * size)] + parts[int(draw() * size)]
                if three:
                    word += parts[int(draw() * size)]
            if word not in self.forbidden:
                return word.capitalize()


@cache
def _pieces(names: tuple[str, ...]) -> list[str]:
    """All pieces of two to four letters of `names`, in alphabetical order."""
    return sorted(
        {
            name[start : start + length].lower()
            for name in names
            for length in _PIECE_LENGTHS
            for start in range(len(name) - length + 1)
        }
    )
