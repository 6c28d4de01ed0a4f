"""Intervals of PBx: each resample has the PBx that one curve would have, and the ends enclose what was measured."""

from pathlib import Path

import numpy as np
from example_run import method, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.analysis.pb_intervals import largest_of_each, pb_interval_ends
from benchmark.analysis.statistics import largest_tokens_per_step
from benchmark.analysis.summary import PB_COUNTS, PB_SCORES, summarise

# Few values, so that speeds and scores are equal to each other, and to x, as often as not.
curves = st.integers(1, 5).flatmap(
    lambda points: st.lists(
        st.lists(
            st.tuples(st.integers(1, 4).map(float), st.sampled_from([0.0, 60.0, 70.0, 75.0, 80.0, 81.5, 100.0])),
            min_size=points,
            max_size=points,
        ),
        min_size=1,
        max_size=4,
    )
)


@given(rows=curves, score=st.sampled_from(PB_SCORES), interpolate=st.booleans())
@settings(deadline=None)
def test_each_row_has_the_pb_of_its_curve(rows: list[list[tuple[float, float]]], score: int, interpolate: bool) -> None:
    drawn = np.array(rows)
    found = largest_of_each(drawn[:, :, 0], drawn[:, :, 1], (score,), interpolate=interpolate)[score]
    wanted = [largest_tokens_per_step(row, score, interpolate=interpolate) or 0.0 for row in rows]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_an_end_that_is_never_reached_is_none() -> None:
    speeds = np.tile([1.0, 4.0], (100, 1))
    scores = np.tile([90.0, 10.0], (100, 1))
    scores[:50, 0] = 60.0
    ends = pb_interval_ends(speeds, scores, (80, 95), interpolate=False)
    assert ends == {80: (None, 1.0), 95: (None, None)}


def test_ends_enclose_the_pb_of_every_complete_curve(tmp_path: Path) -> None:
    methods = [
        *(method("random", "k", k) for k in (1, 4, 32)),
        *(method("threshold", "threshold", t) for t in (0.5, 1.0)),
    ]
    found = summarise(write_run(tmp_path, methods, ["copy", "sort"], ("one", "two"), samples=30))
    # Made-up samples do not tell their content.
    assert {key[2] for key in found.pb_intervals} == set(PB_COUNTS) - {"content_tokens_per_step"}
    for key, ends in found.pb_intervals.items():
        for score, (low, high) in ends.items():
            value = found.largest_at[key][score]
            assert (low or 0.0) <= (value or 0.0) <= (high or 0.0)


def test_a_curve_that_is_not_finished_has_none(tmp_path: Path) -> None:
    methods = [method("random", "k", k) for k in (1, 4)]
    store = write_run(tmp_path, methods, ["copy", "sort"], samples=5)
    store.samples_path("ideal", "sort", methods[0]).unlink()
    assert summarise(store).pb_intervals == {}
