"""Made-up words in training texts: a model that has seen only the words of a grammar misspells all others.

Half or more of the words in the benchmark's test texts are in no training text. The model learns to copy such words
from made-up ones, as it learns to copy names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache, partial

from hub_dataset.randomness import Stream, draw_index, pick
from hub_dataset.sentences import VOCABULARIES
from hub_dataset.sentences.lexicon import read_lexicon

from .names import SpelledNames, TrainingPeople

# Share of the texts whose people are renamed, of those in which words are replaced, and of the words replaced there.
RENAMED, REWRITTEN, REPLACED = 0.6, 0.5, 0.6
# How often a made-up word consists of the tokenizer's pieces instead of being spelled like English.
_PIECES = 0.4
_SHORTEST = 4
_VOWELS = "aeiou"
# Words before a noun or its adjective: only there does another word fit in as well.
_AFTER = "a|an|the|some|any|no|my|your|his|her|our|their|this|that|these|those|each|every|several|new|old|many|of|with"
_CANDIDATES = re.compile(rf"\b(?:{_AFTER}) ([a-z]{{{_SHORTEST},}})\b")


class UnknownWords:
    """Puts made-up names and words into a question and its answer.

    Args:
        people: where names come from.
        tails: the tokenizer's tokens of lower-case letters.
    """

    def __init__(self, people: TrainingPeople, tails: Sequence[str] = ()) -> None:
        self._people = people
        self._tails = tuple(tail for tail in tails if len(tail) > 1)
        self._spelled = SpelledNames(_nouns())
        self._names = frozenset(name for vocabulary in VOCABULARIES for name in read_lexicon(vocabulary).names)

    def put(self, draw: Stream, texts: Sequence[str], answer: str) -> tuple[list[str], str]:
        """The same texts and answer with some words replaced, each by the same word everywhere.

        Names of people may be replaced, and words after an article or the like in both texts and answer. A new word
        begins with a vowel or ends in s where the old one does, so that articles and numbers agree as before.
        """
        text = " ".join(texts)
        words = set(re.findall(r"[A-Za-z]+", text))
        taken = words | set(re.findall(r"[A-Za-z]+", answer))
        others: dict[str, str] = {}
        if draw() < RENAMED:
            for name in sorted(words & self._names):
                others[name] = _unused(taken, partial(self._people.draw_word, draw))
        if draw() < REWRITTEN:
            for word in sorted(set(_CANDIDATES.findall(text)) & set(_CANDIDATES.findall(answer))):
                if draw() < REPLACED:
                    others[word] = _unused(taken, partial(self._word, draw, word))
        if not others:
            return list(texts), answer
        pattern = re.compile(rf"\b(?:{'|'.join(others)})\b")
        rewritten = [pattern.sub(lambda match: others[match.group()], old) for old in (*texts, answer)]
        return rewritten[:-1], rewritten[-1]

    def _word(self, draw: Stream, like: str) -> str:
        if self._tails and draw() < _PIECES:
            made = "".join(pick(draw, self._tails) for _ in range(2 + draw_index(draw, 2)))
        else:
            made = self._spelled.draw_word(draw)
        if like[0] in "uh":
            # A uniform, an hour: what their article is depends on more than a letter.
            made = like[:3] + made
        elif (like[0] in _VOWELS) != (made[0] in _VOWELS):
            made = like[0] + made
        if like.endswith("s") != made.endswith("s"):
            made = made + "s" if like.endswith("s") else made[:-1] + "t"
        return made


def _unused(taken: set[str], make: Callable[[], str]) -> str:
    """A new word that is not in `taken`; it is added there."""
    while (made := make()) in taken:
        pass
    taken.add(made)
    return made


@cache
def _nouns() -> tuple[str, ...]:
    scenes = [scene for vocabulary in VOCABULARIES for scene in read_lexicon(vocabulary).scenes]
    return tuple(sorted({noun.singular for scene in scenes for nouns in scene.nouns.values() for noun in nouns}))
