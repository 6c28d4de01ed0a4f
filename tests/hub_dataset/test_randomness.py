"""Tests of the random streams: pinned values, so that no later change moves the data unnoticed."""

import random
from collections import Counter
from fnmatch import fnmatchcase
from hashlib import sha256

from hub_dataset import DATA_VERSION, config_names, task_info
from hub_dataset.randomness import draw_index, shuffled, stream
from hub_dataset.version import EARLIER_STREAMS


def test_stream_is_seeded_by_the_published_formula():
    seed = int.from_bytes(sha256(b"parallelbench/2/waiting_line_copy/test").digest()[:8], "big")
    expected = random.Random(seed)
    draw = stream("waiting_line_copy", "test")
    assert [draw() for _ in range(100)] == [expected.random() for _ in range(100)]


def test_configs_that_a_version_left_alone_keep_their_streams():
    seed = int.from_bytes(sha256(b"parallelbench/1/puzzle_sudoku_n4_12/train/example").digest()[:8], "big")
    expected = random.Random(seed)
    draw = stream("puzzle_sudoku_n4_12", "train", "example")
    assert [draw() for _ in range(100)] == [expected.random() for _ in range(100)]
    patterns = EARLIER_STREAMS.keys()
    kept = {name for name in config_names() if any(fnmatchcase(name, pattern) for pattern in patterns)}
    assert {task_info(name).items for name in set(config_names()) - kept} == {"people"}
    assert all(any(fnmatchcase(name, pattern) for name in kept) for pattern in patterns)
    assert all(int(major) < int(DATA_VERSION.partition(".")[0]) for major in EARLIER_STREAMS.values())


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
