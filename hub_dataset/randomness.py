"""Random streams that stay the same across Python versions, and the draws made from them.

Python promises the sequence of `random.Random.random` and of no other method, so every choice here is derived from
it alone.
"""

import random
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import TypeVar

from .version import DATA_VERSION, EARLIER_STREAMS

# A stream is the bound method `random.Random(seed).random`: floats in [0, 1).
Stream = Callable[[], float]
Item = TypeVar("Item")


def stream(*names: str) -> Stream:
    """The stream that belongs to `names`, a config and a split, and perhaps a part of it.

    Its seed is the first 8 bytes, big-endian, of SHA-256 over `parallelbench/<major data version>/<name>/<name>…`, the
    version being the one in which the config's rows were drawn anew for the last time.
    """
    current = DATA_VERSION.partition(".")[0]
    major = next((major for pattern, major in EARLIER_STREAMS.items() if fnmatchcase(names[0], pattern)), current)
    digest = sha256("/".join(["parallelbench", major, *names]).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big")).random


def draw_index(draw: Stream, size: int) -> int:
    """An index in [0, size), one draw."""
    return int(draw() * size)


def pick(draw: Stream, items: Sequence[Item]) -> Item:
    """One of `items`, each as likely as the others, one draw."""
    return items[int(draw() * len(items))]


def shuffled(draw: Stream, items: list[Item]) -> list[Item]:
    """A copy of `items` in random order (Fisher–Yates, from the end), `len(items) - 1` draws."""
    result = items.copy()
    for last in range(len(result) - 1, 0, -1):
        other = int(draw() * (last + 1))
        result[last], result[other] = result[other], result[last]
    return result
