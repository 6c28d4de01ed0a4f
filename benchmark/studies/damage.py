"""Damages texts as parallel decoding does: a word twice, one lost, two swapped, an article or a verb that is wrong.

Tokens that are committed in the same step do not know of each other, so each may be right and both together wrong. One
damage is done at one place of a text, and what stands around it stays as it was.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from itertools import pairwise

Damage = Callable[[str, random.Random], str | None]

#: Verbs whose number is another when they are exchanged.
NUMBER = {"is": "are", "was": "were", "has": "have", "does": "do", "isn't": "aren't", "wasn't": "weren't"}
_OTHER_NUMBER = NUMBER | {plural: singular for singular, plural in NUMBER.items()}
_OTHER_ARTICLE = {"a": "an", "an": "a", "A": "An", "An": "A"}
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def double_word(text: str, source: random.Random) -> str | None:
    """One word stands twice in a row."""
    words = list(_WORD.finditer(text))
    if not words:
        return None
    word = source.choice(words)
    again = word[0] if word.start() else word[0].lower()
    return f"{text[: word.end()]} {again}{text[word.end() :]}"


def drop_word(text: str, source: random.Random) -> str | None:
    """One word is missing that neither begins a sentence nor touches a mark."""
    places = _inner(text)
    if not places:
        return None
    word = source.choice(places)
    return text[: word.start()] + text[word.end() + 1 :]


def swap_neighbours(text: str, source: random.Random) -> str | None:
    """Two words in a row have changed places; neither begins a sentence or touches a mark, and they differ."""
    places = _inner(text)
    pairs = [
        (left, right) for left, right in pairwise(places) if left.end() + 1 == right.start() and left[0] != right[0]
    ]
    if not pairs:
        return None
    left, right = source.choice(pairs)
    return f"{text[: left.start()]}{right[0]} {left[0]}{text[right.end() :]}"


def scramble(text: str, source: random.Random) -> str | None:
    """The longest row of words between two marks is in another order; the word that begins a sentence stays."""
    rows: list[list[re.Match[str]]] = [[]]
    for word in _inner(text):
        if rows[-1] and rows[-1][-1].end() + 1 != word.start():
            rows.append([])
        rows[-1].append(word)
    longest = max(rows, key=len)
    words = [word[0] for word in longest]
    if len(set(words)) < 3:
        return None
    shuffled = words
    while shuffled == words:
        shuffled = source.sample(words, len(words))
    return f"{text[: longest[0].start()]}{' '.join(shuffled)}{text[longest[-1].end() :]}"


def wrong_article(text: str, source: random.Random) -> str | None:
    """One `a` is an `an`, or the reverse."""
    return _exchange(text, _OTHER_ARTICLE, source)


def wrong_number(text: str, source: random.Random) -> str | None:
    """One verb has the other number: `is` for `are`, `have` for `has`."""
    return _exchange(text, _OTHER_NUMBER, source)


DAMAGES: dict[str, Damage] = {
    "word doubled": double_word,
    "word dropped": drop_word,
    "neighbours swapped": swap_neighbours,
    "words scrambled": scramble,
    "wrong article": wrong_article,
    "wrong agreement": wrong_number,
}


def damage(texts: Sequence[str], kind: str, seed: int) -> list[tuple[str, str]]:
    """Damage each text once, where that kind of damage can be done to it.

    Args:
        texts: right ones.
        kind: a key of `DAMAGES`.
        seed: equal seeds give equal damage, and to a text always the same whatever texts are around it.

    Returns:
        (text, damaged text), in the order of the texts; those that cannot be damaged so are left out.
    """
    pairs: list[tuple[str, str]] = []
    for text in texts:
        damaged = DAMAGES[kind](text, random.Random(f"{seed}/{kind}/{text}"))
        if damaged is not None:
            pairs.append((text, damaged))
    return pairs


def _inner(text: str) -> list[re.Match[str]]:
    """Words with a space on both sides, and no mark before the space in front, which might end a sentence."""
    return [
        word
        for word in _WORD.finditer(text)
        if re.fullmatch(r"\w ", text[max(0, word.start() - 2) : word.start()])
        and text[word.end() : word.end() + 1] == " "
    ]


def _exchange(text: str, others: dict[str, str], source: random.Random) -> str | None:
    places = [word for word in _WORD.finditer(text) if word[0] in others]
    if not places:
        return None
    word = source.choice(places)
    return text[: word.start()] + others[word[0]] + text[word.end() :]
