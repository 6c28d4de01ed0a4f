"""Plots of closed forms: lines have the values that follow by hand, and points what was measured."""

from pathlib import Path
from typing import Any

import pytest
from example_run import method, run_settings, sample_rows
from matplotlib.figure import Figure

from benchmark.analysis.summary import Summary, summarise
from benchmark.report.theory_plots import draw_panels, panels
from benchmark.store.runs import RunStore
from benchmark.theory import closed_form

TASK = "waiting_line_shuffle"
THRESHOLDS = (0.5, 0.9)


def summary_of(directory: Path, length: int) -> Summary:
    """A run of lines of so many people, one token each, whose scores are 1, 0, 1."""
    methods = [method("random", "k", k) for k in (1, 2, 3)]
    methods += [method("threshold", "threshold", value) for value in THRESHOLDS]
    store = RunStore(directory)
    store.write_settings(run_settings(methods, [TASK], ("ideal", "mine")))
    for model in ("ideal", "mine"):
        for each in methods:
            rows = sample_rows(TASK, [1.0, 0.0, 1.0], 8)
            # No token but those of items.
            counts = {"length": length, "num_tokens": length, "num_answer_tokens": length, "num_item_tokens": length}
            store.write_samples(model, TASK, each, [{**row, **counts} for row in rows])
    return summarise(store)


def drawn(summary: Summary) -> dict[str, list[Any]]:
    """Panel → the lines of the axes that matplotlib will draw."""
    figure = Figure()
    draw_panels(figure, summary, TASK, panels(summary, TASK))
    return {axes.get_title(loc="left") or axes.get_title(): axes.get_lines() for axes in figure.axes}


def curve(lines: list[Any], style: str) -> dict[float, float]:
    """x → y of the closed form in this line style, whatever pieces it is drawn in."""
    black = [line for line in lines if line.get_color() == "black" and line.get_linestyle() == style]
    return {x: y for line in black for x, y in line.get_xydata().tolist()}


def test_three_people_in_random_order_have_the_accuracies_that_follow_by_hand(tmp_path: Path) -> None:
    lines = drawn(summary_of(tmp_path, 3))["random"]
    found = curve(lines, "-")
    # All orders but the one that was given are right, five of them: who stood in a place stays there in one of the
    # five, and each of the others comes there in two. One at a time is right. Of two places at once, both have the same
    # person in .2 · .4 + .4 · .2 + .4 · .4 = .32 of the cases, and both stay as they were in .04; else the last one
    # follows. All three at once: two orders that nobody keeps a place in, and three that one person does.
    at_once = 2 * 0.4**3 + 3 * 0.2 * 0.4**2
    assert found == pytest.approx({1.0: 100.0, 3 / 2: 100 * (1 - 0.32 - 0.04), 3.0: 100 * at_once})


def test_three_people_under_a_threshold_are_wrong_at_a_half_alone(tmp_path: Path) -> None:
    lines = drawn(summary_of(tmp_path, 3))["threshold"]
    found = curve(lines, "-")
    # The first step takes the surest of three draws, a person in a new place unless all three were drawn where they
    # stood. Then two are left for two places, with a half each, and both are taken; else the others must change places.
    kept = 0.2**3
    assert found[0.5] == pytest.approx(100 * ((1 - kept) / 2 + kept))
    assert {y for x, y in found.items() if x > 0.5} == {100.0}
    assert max(found) == 1.0


@pytest.mark.parametrize("length", [4, 7])
def test_sampled_and_greedy_are_told_apart_and_have_their_own_values(length: int, tmp_path: Path) -> None:
    lines = drawn(summary_of(tmp_path, length))["random"]
    for style, greedy in (("-", False), ("--", True)):
        found = curve(lines, style)
        assert len(found) > 1
        for x, y in found.items():
            # The same number of steps for several k: those that take it.
            ks = [k for k in range(1, length + 1) if length / -(-length // k) == pytest.approx(x)]
            values = [
                100 * value for k in ks if (value := closed_form("shuffle", length, k, greedy=greedy)) is not None
            ]
            assert any(y == pytest.approx(value) for value in values), (x, y, values)


def test_points_are_what_was_measured(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, 3)
    found = drawn(summary)
    for panel, xs in (("random", [1.0, 1.5, 3.0]), ("threshold", list(THRESHOLDS))):
        of_models = {line.get_label(): line for line in found[panel] if line.get_label() in ("ideal", "mine")}
        assert of_models.keys() == {"ideal", "mine"}
        for line in of_models.values():
            assert line.get_xdata() == pytest.approx(xs)
            assert line.get_ydata() == pytest.approx([200 / 3] * len(xs))
