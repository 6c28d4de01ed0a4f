"""The rules of the domino scorer."""

import json
import time
from itertools import pairwise, permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

RIGHT = {"score": 1.0, "score_strict": 1.0}
LENIENTLY_RIGHT = {"score": 1.0, "score_strict": 0.0}
WRONG = {"score": 0.0, "score_strict": 0.0}
TILES = ["2-5", "1-6", "1-5"]

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=4)


def spelled(row):
    return json.dumps([f"{left}-{right}" for left, right in row])


@pytest.fixture(scope="module")
def score(part):
    return part("domino_scorer").score_domino


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ('["2-5", "5-1", "1-6"]', RIGHT),
        ('["6-1", "1-5", "5-2"]', RIGHT),
        ('The row is ["2-5", "5-1", "1-6"].', RIGHT),
        ('["2-5", "1-5", "1-6"]', WRONG),  # the second one has to be turned
        ('["2-5", "5-1"]', WRONG),
        ('["2-5", "5-1", "1-6", "6-6"]', WRONG),
        ('["2-5", "5-5", "5-2"]', WRONG),
        ('["2-5", "5-1", "1-5"]', WRONG),
        ("2-5, 5-1, 1-6", LENIENTLY_RIGHT),
        ("[2|5, 5|1, 1|6]", LENIENTLY_RIGHT),
        ('["02-5", "5-1", "1-6"]', LENIENTLY_RIGHT),
        ('["2 - 5", "5 - 1", "1 - 6"]', LENIENTLY_RIGHT),
        ('["2-5-5", "5-1", "1-6"]', WRONG),
        ('["2", "5-1", "1-6"]', WRONG),
        ('["2-5", "", "5-1", "1-6"]', WRONG),
        ('["2-5", , "5-1", "1-6"]', LENIENTLY_RIGHT),
        ("[]", WRONG),
        ("", WRONG),
    ],
)
def test_row_holds_every_tile_once_and_halves_match(score, prediction, expected):
    assert score(prediction, TILES) == expected


def test_single_tile_may_lie_either_way(score):
    assert score('["5-2"]', ["2-5"]) == score('["2-5"]', ["2-5"]) == RIGHT


@given(row=ROWS, laid=ROWS)
@settings(deadline=None)
def test_agrees_with_trying_every_order_and_turn(score, row, laid):
    rows = {
        tuple(tile[::-1] if turn else tile for tile, turn in zip(order, turns, strict=True))
        for order in permutations(row)
        for turns in product([False, True], repeat=len(row))
    }
    right = {tiles for tiles in rows if all(a[1] == b[0] for a, b in pairwise(tiles))}
    given_tiles = json.loads(spelled(row))
    assert score(spelled(laid), given_tiles)["score"] == (tuple(laid) in right)
    for tiles in right:
        assert score(spelled(tiles), given_tiles) == RIGHT


@given(prediction=st.text() | st.text(alphabet='[]", -0125'), tiles=ROWS)
@settings(deadline=None)
def test_any_text_is_scored_and_strict_is_never_above_lenient(score, prediction, tiles):
    found = score(prediction, json.loads(spelled(tiles)))
    assert 0.0 <= found["score_strict"] <= found["score"] <= 1.0


@pytest.mark.parametrize("piece", ["2-5, ", "9", "[", "-", '"2-5", ', "2-"])
def test_long_texts_are_scored_in_time(score, piece):
    text = piece * (1_000_000 // len(piece))
    start = time.perf_counter()
    assert score(text, TILES) == WRONG
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("tiles", [[], ["2"], ["2-5", 3], "2-5", ["a-b"], None])
def test_reference_without_tiles_is_refused(metric, tiles):
    with pytest.raises(ValueError, match=r'references\[0\]: "input" of scorer domino must be a list of tiles'):
        metric.compute(predictions=["x"], references=[json.dumps({"scorer": "domino", "input": tiles})])
