"""Closed forms beside measured scores: what a curve says, and where measured points are put."""

from dataclasses import replace
from pathlib import Path

import pytest
from example_run import method, run_settings, sample_rows

from benchmark.analysis.closed_forms import AnswerTokens, closed_forms, item_tokens_per_step
from benchmark.analysis.summary import summarise
from benchmark.report.theory_plots import draw_panels, panels
from benchmark.report.writing import write_report
from benchmark.store.runs import RunStore
from benchmark.theory import closed_form


def test_a_curve_is_the_mean_over_the_questions() -> None:
    (sampled, greedy) = closed_forms("waiting_line_shuffle", [3, 5], "random")
    assert (sampled.greedy, greedy.greedy) == (False, True)
    for form in (sampled, greedy):
        assert [k for k, _, _ in form.points] == [1, 2, 3, 4, 5]
        for k, _, accuracy in form.points:
            values = [closed_form("shuffle", n, int(k), greedy=form.greedy) for n in (3, 5)]
            assert accuracy == pytest.approx(100 * sum(value for value in values if value is not None) / 2)
    # Three items take 3, 2, 1, 1 and 1 steps, five take 5, 3, 2, 2 and 1.
    assert [speed for _, speed, _ in sampled.points] == pytest.approx([1, 1.5 / 2 + 5 / 6, 2.75, 2.75, 4])


def test_tasks_with_one_answer_are_right_at_any_speed() -> None:
    (form,) = closed_forms("puzzle_sudoku_n4_12", [4, 4], "left_to_right")
    assert form.points[-1] == (16, 16, 100)
    assert {accuracy for _, _, accuracy in form.points} == {100}


def test_thresholds_are_their_own_axis() -> None:
    (sampled, _) = closed_forms("waiting_line_shuffle", [4], "threshold")
    assert sampled.points[0][0] == sampled.points[0][1] == 0.5
    assert sampled.points[-1] == (1.0, 1.0, 100.0)


@pytest.mark.parametrize(
    ("task", "lengths", "name"),
    [
        ("words_to_sentence_easy", [3], "random"),
        ("waiting_line_shuffle", [3], "remdm"),
        ("waiting_line_shuffle", [], "random"),
        ("waiting_line_shuffle", [1, 3], "random"),
    ],
)
def test_where_nothing_is_known_there_is_no_curve(task: str, lengths: list[int], name: str) -> None:
    assert closed_forms(task, lengths, name) == []


def test_what_a_step_commits_of_items_follows_from_the_order() -> None:
    answers = [AnswerTokens(window=64, answer=30, items=20)]
    assert item_tokens_per_step("random", 16, answers) == 20 / 4
    assert item_tokens_per_step("left_to_right", 16, answers) == 20 / 2
    assert item_tokens_per_step("confidence", 16, answers) == 20 / 2
    assert item_tokens_per_step("confidence", 4, answers) == 4
    assert item_tokens_per_step("remdm", 4, answers) is None


def write_shuffles(directory: Path, models: tuple[str, ...] = ("ideal", "mine")) -> RunStore:
    entries = [*(method("random", "k", k) for k in (1, 4, 16)), method("threshold", "threshold", 0.9)]
    store = RunStore(directory)
    tasks = ["waiting_line_shuffle", "waiting_line_copy"]
    store.write_settings(run_settings(entries, tasks, models))
    for model in models:
        for task in tasks:
            for entry in entries:
                passes = 32 // int(entry.parameters.get("k", 2))
                rows = sample_rows(task, [1.0, 0.0, 1.0], passes)
                rows = [{**row, "num_answer_tokens": 12, "num_item_tokens": 6} for row in rows]
                store.write_samples(model, task, entry, rows)
    return store


def test_a_report_draws_measured_and_closed_form_where_the_speed_matters(tmp_path: Path) -> None:
    store = write_shuffles(tmp_path)
    report = write_report(store.directory)
    names = [path.name for path in report.files]
    assert "waiting_line_shuffle.theory.png" in names
    assert "waiting_line_copy.theory.png" not in names, "any speed is right there"
    drawn = panels(report.summary, "waiting_line_shuffle")
    assert [panel.scheduler for panel in drawn] == ["random", "threshold"]
    for panel in drawn:
        assert [model for model, _ in panel.measured] == ["ideal", "mine"]
    assert [x for x, _ in drawn[0].measured[0][1]] == pytest.approx([6 / 32, 6 / 8, 3])
    assert [x for x, _ in drawn[1].measured[0][1]] == [0.9]


def test_a_closed_form_that_is_known_at_single_speeds_can_be_seen(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    summary = summarise(write_shuffles(tmp_path))
    panel = panels(summary, "waiting_line_shuffle")[0]
    alone = replace(panel.forms[0], points=((1.0, 1.0, 100.0), (16.0, 16.0, 0.0), (17.0, 17.0, 0.0)))
    figure = Figure()
    draw_panels(figure, summary, "waiting_line_shuffle", [replace(panel, forms=(alone,))])
    (axes,) = figure.axes
    dashes = [line for line in axes.get_lines() if line.get_marker() == "_"]
    assert [line.get_xydata().tolist() for line in dashes] == [[[1.0, 100.0]]]


def test_runs_that_did_not_count_tokens_of_items_have_no_such_points(tmp_path: Path) -> None:
    store = write_shuffles(tmp_path)
    rows = [{**row, "length": 3} for row in sample_rows("waiting_line_shuffle", [1.0] * 3, 8)]
    for model in ("ideal", "mine"):
        for k in (1, 4, 16):
            store.write_samples(model, "waiting_line_shuffle", method("random", "k", k), rows)
    assert [panel.scheduler for panel in panels(summarise(store), "waiting_line_shuffle")] == ["threshold"]


def test_the_summary_holds_the_closed_forms(tmp_path: Path) -> None:
    import json

    write_report(write_shuffles(tmp_path).directory)
    entries = json.loads((tmp_path / "summary.json").read_text())["closed_forms"]
    assert [(entry["task"], entry["scheduler"], entry["greedy"]) for entry in entries] == [
        ("waiting_line_shuffle", "random", False),
        ("waiting_line_shuffle", "random", True),
        ("waiting_line_shuffle", "threshold", False),
        ("waiting_line_shuffle", "threshold", True),
    ]
    assert entries[0]["points"][0] == [1.0, 1.0, 100.0]
