"""The people of the training data: names of several kinds, none of which has a word of a test name."""

from __future__ import annotations

import random
import string
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate

from hub_dataset.generators.made_up_people import MadeUpPeople
from hub_dataset.generators.people import PeoplePool
from hub_dataset.generators.pools import People, names_of_test
from hub_dataset.randomness import Stream, pick

# Shares of the kinds of names. Those that sound like names alone teach a model to spell, not to copy: unseen names came
# out wrong in a quarter of all copies. Pieces are what the tokenizer's tokens give, so that each of them is trained.
KINDS = {"listed": 0.08, "alike": 0.36, "syllables": 0.12, "letters": 0.11, "pieces": 0.33}
# Shares of the rows whose people share names, and whose names begin alike: rare among random names, common among real
# ones, and what sorting and telling people apart are about.
SHARED, SIMILAR = 0.2, 0.25

_SHORTEST, _LONGEST = 3, 9
_END = "$"
# How often a letter is drawn from the last letter alone rather than the last two: three hundred names are few.
_LOOSE = 0.5
# What the tokenizer learns its merges from: random letters would fill its vocabulary with what no name has.
_TOKENIZER_KINDS = {"listed": 0.05, "alike": 0.75, "syllables": 0.2}


class SpelledNames:
    """Names spelled letter by letter with the frequencies of the listed training names (a Markov chain of order 2)."""

    def __init__(self, names: Sequence[str]) -> None:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for name in names:
            letters = f"^^{name.lower()}{_END}"
            for place in range(2, len(letters)):
                counts[letters[place - 2 : place]][letters[place]] += 1
                counts[letters[place - 1]][letters[place]] += 1
        self._next = {context: ("".join(found), list(accumulate(found.values()))) for context, found in counts.items()}

    def draw_word(self, draw: Stream) -> str:
        """One name in lower case, 3 to 9 letters."""
        while True:
            word = ""
            before = "^^"
            while len(word) <= _LONGEST:
                context = before if draw() >= _LOOSE and before in self._next else before[1]
                letters, cumulative = self._next[context]
                letter = letters[bisect(cumulative, draw() * cumulative[-1])]
                if letter == _END:
                    break
                word += letter
                before = before[1] + letter
            if _SHORTEST <= len(word) <= _LONGEST:
                return word


class TrainingPeople(PeoplePool):
    """People for training.

    Args:
        heads: beginnings of names that the tokenizer has a token for, capital letter first.
        tails: what may follow a beginning, one token each. Without heads and tails no name is made of tokens.
        kinds: shares of the kinds of names, in any unit.
    """

    size = 10**6

    def __init__(
        self, heads: Sequence[str] = (), tails: Sequence[str] = (), kinds: Mapping[str, float] = KINDS
    ) -> None:
        listed = People("train")
        self.forbidden = frozenset(word.lower() for word in names_of_test())
        self._listed = (*listed.first_names, *listed.last_names)
        self._spelled = SpelledNames(self._listed)
        self._made_up = MadeUpPeople(self._listed, self.forbidden)
        self._heads, self._tails = tuple(heads), tuple(tails)
        shares = {kind: share for kind, share in kinds.items() if kind != "pieces" or (heads and tails)}
        makers = {
            "listed": self._listed_name,
            "alike": self._spelled.draw_word,
            "syllables": self._syllables,
            "letters": self._letters,
            "pieces": self._pieces,
        }
        self._makers = [makers[kind] for kind in shares]
        self._cumulative = list(accumulate(shares.values()))

    def draw_word(self, draw: Stream) -> str:
        """One name: an ASCII word, its first letter capital, and never a word of a test name."""
        while True:
            word = self._makers[bisect(self._cumulative, draw() * self._cumulative[-1])](draw)
            if word.lower() not in self.forbidden:
                return word.capitalize()

    def draw_names(self, draw: Stream) -> tuple[str, str]:
        return self.draw_word(draw), self.draw_word(draw)

    def draw(self, draw: Stream, count: int, avoid: frozenset[str]) -> list[str]:
        """`count` distinct people, none of whose names is in `avoid`; in some rows they share names or beginnings."""
        kind = draw()
        if kind < SHARED:
            # Twice as many people as are wanted, so that drawing distinct ones ends soon.
            width = 2
            while width * width < 2 * count:
                width += 1
            first = self._words(draw, width + int(draw() * 3), avoid)
            last = self._words(draw, width + int(draw() * 3), avoid)
            return self._distinct(draw, count, lambda: (pick(draw, first), pick(draw, last)))
        if kind < SHARED + SIMILAR:
            begin_first = [self.draw_word(draw)[:2] for _ in range(2)]
            begin_last = [self.draw_word(draw)[:2] for _ in range(1 + int(draw() * 3))]
            alike = (draw() < 0.5, draw() < 0.8)

            def similar() -> tuple[str, str]:
                while True:
                    first, last = self.draw_names(draw)
                    if alike[0]:
                        first = pick(draw, begin_first) + first[2:]
                    if alike[1]:
                        last = pick(draw, begin_last) + last[2:]
                    if self._allowed(first, avoid) and self._allowed(last, avoid):
                        return first, last

            return self._distinct(draw, count, similar)
        return super().draw(draw, count, avoid)

    def _distinct(self, draw: Stream, count: int, names: Callable[[], tuple[str, str]]) -> list[str]:
        people: dict[str, None] = {}
        while len(people) < count:
            people[" ".join(names())] = None
        return list(people)

    def _words(self, draw: Stream, count: int, avoid: frozenset[str]) -> list[str]:
        words: dict[str, None] = {}
        while len(words) < count:
            word = self.draw_word(draw)
            if word not in avoid:
                words[word] = None
        return list(words)

    def _allowed(self, word: str, avoid: frozenset[str]) -> bool:
        return word not in avoid and word.lower() not in self.forbidden

    def _listed_name(self, draw: Stream) -> str:
        return pick(draw, self._listed)

    def _syllables(self, draw: Stream) -> str:
        parts = self._made_up.syllables
        word = pick(draw, parts) + pick(draw, parts)
        return word if len(word) >= _SHORTEST else word + pick(draw, parts)

    def _letters(self, draw: Stream) -> str:
        return "".join(pick(draw, string.ascii_lowercase) for _ in range(_SHORTEST + int(draw() * 5)))

    def _pieces(self, draw: Stream) -> str:
        word = pick(draw, self._heads) + pick(draw, self._tails)
        return word + pick(draw, self._tails) if draw() < 0.12 else word


def names_for_tokenizer(count: int, seed: int = 0) -> Iterator[str]:
    """Names to train a tokenizer on."""
    people, draw = TrainingPeople(kinds=_TOKENIZER_KINDS), random.Random(seed).random
    return (people.draw_word(draw) for _ in range(count))
