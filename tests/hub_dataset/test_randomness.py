"""Tests of the random streams: pinned values, so that no later change moves the data unnoticed."""

import random
from collections import Counter
from hashlib import sha256

from hub_dataset.randomness import draw_index, shuffled, stream


def test_stream_is_seeded_by_the_published_formula():
    seed = int.from_bytes(sha256(b"parallelbench/1/waiting_line_copy/test").digest()[:8], "big")
    expected = random.Random(seed)
    draw = stream("waiting_line_copy", "test")
    assert [draw() for _ in range(100)] == [expected.random() for _ in range(100)]


def test_stream_of_another_split_or_config_differs():
    firsts = {stream(*names)() for names in [("a", "test"), ("a", "train"), ("b", "test"), ("a", "test", "example")]}
    assert len(firsts) == 4


def test_draw_index_covers_its_range_and_stays_in_it():
    draw = random.Random(0).random
    assert {draw_index(draw, 5) for _ in range(200)} == {0, 1, 2, 3, 4}
    assert draw_index(lambda: 1 - 2**-53, 7) == 6


def test_shuffled_gives_every_order_equally_often():
    draw = random.Random(0).random
    counts = Counter("".join(shuffled(draw, list("abc"))) for _ in range(6000))
    assert len(counts) == 6
    assert all(850 < count < 1150 for count in counts.values())


def test_shuffled_leaves_its_argument_alone():
    items = list("abcdef")
    shuffled(random.Random(1).random, items)
    assert items == list("abcdef")
