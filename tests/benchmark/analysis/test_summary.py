"""What a report says about made-up samples whose statistics can be computed by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_run import method, run_settings, sample_rows, write_run

from benchmark.analysis.summary import summarise
from benchmark.store.runs import RunStore


def store_with(directory: Path, tasks: list[str], methods: Any, seed: int = 0) -> RunStore:
    store = RunStore(directory)
    store.write_settings(run_settings(methods, tasks, ["ideal"], seeds=[seed]))
    return store


def test_points_are_means_over_samples(tmp_path: Path) -> None:
    entry = method("threshold", "threshold", 0.9)
    store = store_with(tmp_path, ["copy"], [entry])
    rows = sample_rows("copy", [1.0, 0.0, 1.0, 1.0], [1, 2, 4, 32])
    rows[0]["scores"]["score_strict"] = 0.0
    rows[3]["scores"]["score"] = 0.0  # the headline is what counts
    store.write_samples("ideal", "copy", entry, rows)
    point = summarise(store).points["ideal", "copy", entry]
    assert (point.headline, point.score_strict, point.samples) == (75.0, 50.0, 4)
    assert point.tokens_per_step == pytest.approx((32 + 16 + 8 + 1) / 4)
    assert point.num_forward_passes == pytest.approx(39 / 4)
    assert 0 <= point.low < 75 < point.high <= 100


def test_strict_score_is_none_where_a_scorer_has_none(tmp_path: Path) -> None:
    entry = method("random", "k", 1)
    store = store_with(tmp_path, ["copy"], [entry])
    store.write_samples("ideal", "copy", entry, sample_rows("copy", [1.0], strict=False))
    summary = summarise(store)
    assert summary.points["ideal", "copy", entry].score_strict is None
    assert summary.means["ideal", entry].score_strict is None


def test_scores_of_text_are_means_over_the_samples_that_have_them(tmp_path: Path) -> None:
    entries = [method("random", "k", k) for k in (1, 2)]
    store = store_with(tmp_path, ["summarize"], entries)
    for entry, version in zip(entries, ("6.7", "6.8"), strict=True):
        rows = sample_rows("summarize", [1.0, 0.0], strict=False)
        rows[0]["scores"] |= {"score": 0.5, "grammar": 1.0, "parses": 1.0}
        rows[1]["scores"] |= {"score": 0.0, "grammar": 0.0}
        store.write_samples("ideal", "summarize", entry, rows, {"rouge": "r", "grammar": version})
    summary = summarise(store)
    point = summary.points["ideal", "summarize", entries[0]]
    assert point.scores == {"grammar": 50.0, "headline": 50.0, "parses": 100.0, "score": 25.0}
    assert (point.headline, point.is_of_text) == (50.0, True)
    assert summary.signatures == {"rouge": ["r"], "grammar": ["6.7", "6.8"]}


def test_every_task_counts_the_same_in_the_mean(tmp_path: Path) -> None:
    entry = method("random", "k", 4)
    store = store_with(tmp_path, ["small", "large"], [entry])
    store.write_samples("ideal", "small", entry, sample_rows("small", [1.0] * 2, 8))
    store.write_samples("ideal", "large", entry, sample_rows("large", [0.0, 1.0] * 100, 4))
    mean = summarise(store).means["ideal", entry]
    assert (mean.headline, mean.tokens_per_step, mean.num_forward_passes, mean.samples) == (75.0, 6.0, 6.0, 202)
    # Half of the interval of 200 coin flips: the other task has no spread.
    assert mean.high - mean.low == pytest.approx(2 * 1.96 * 50 / np.sqrt(200) / 2, rel=0.15)


def test_mean_over_tasks_needs_every_task(tmp_path: Path) -> None:
    entries = [method("random", "k", k) for k in (1, 2)]
    store = store_with(tmp_path, ["one", "two"], entries)
    store.write_samples("ideal", "one", entries[0], sample_rows("one", [1.0]))
    store.write_samples("ideal", "two", entries[0], sample_rows("two", [1.0]))
    store.write_samples("ideal", "one", entries[1], sample_rows("one", [1.0]))
    summary = summarise(store)
    assert list(summary.means) == [("ideal", entries[0])]
    assert summary.tokens_per_step_at == {}, "a curve with a gap has no PBx"
    assert list(summary.parallelizability) == [("ideal", "one", "random")]
    assert (len(summary.points), len(summary.keys)) == (3, 4)


def test_damaged_samples_are_missing(tmp_path: Path) -> None:
    store = write_run(tmp_path, [method("random", "k", k) for k in (1, 2)], ["copy"])
    path = store.samples_path("ideal", "copy", method("random", "k", 2))
    path.write_bytes(path.read_bytes()[:-40])
    assert list(summarise(store).points) == [("ideal", "copy", method("random", "k", 1))]


def test_pb_interpolates_for_adaptive_curves_only(tmp_path: Path) -> None:
    entries = [
        *(method("random", "k", k) for k in (1, 2)),
        *(method("threshold", "threshold", t) for t in (0.5, 0.9)),
    ]
    store = store_with(tmp_path, ["copy"], entries)
    for entry, right, passes in zip(entries, (100, 70, 70, 100), (32, 16, 16, 32), strict=True):
        rows = sample_rows("copy", [1.0] * right + [0.0] * (100 - right), passes)
        store.write_samples("ideal", "copy", entry, rows)
    reached = summarise(store).tokens_per_step_at
    assert reached["ideal", "random"] == {80: 1.0, 75: 1.0, 70: 2.0}
    assert reached["ideal", "threshold"] == pytest.approx({80: 1 + 2 / 3, 75: 1 + 5 / 6, 70: 2.0})


def test_oracle_lines_samples_up_by_id(tmp_path: Path) -> None:
    entries = [method("threshold", "threshold", t) for t in (0.5, 0.9)]
    store = store_with(tmp_path, ["copy"], entries)
    fast = sample_rows("copy", [1.0, 0.0, 0.0], [2, 2, 2])
    slow = sample_rows("copy", [1.0, 1.0, 0.0], [16, 16, 16])
    store.write_samples("ideal", "copy", entries[0], fast)
    store.write_samples("ideal", "copy", entries[1], slow[::-1])
    summary = summarise(store)
    best = summary.oracles["ideal", "copy", "threshold"]
    assert best.headline == pytest.approx(200 / 3)
    assert best.num_forward_passes == pytest.approx((2 + 16 + 2) / 3)
    assert summary.mean_oracles["ideal", "threshold"] == best


def test_order_preference_is_taken_over_block_lengths_at_k_2(tmp_path: Path) -> None:
    entries = [method("confidence", "k", k, length) for k in (1, 2) for length in (2, 8, None)]
    store = store_with(tmp_path, ["copy"], entries)
    # By block length 2, 8 and all 32 tokens; what k=1 scores is of no account.
    for entry, right in zip(entries, (9, 1, 5, 2, 5, 10), strict=True):
        store.write_samples("ideal", "copy", entry, sample_rows("copy", [1.0] * right + [0.0] * (10 - right)))
    expected = np.polyfit([2, 8, 32], [20, 50, 100], 1)[0]
    assert summarise(store).order_preference == {("ideal", "copy", "confidence"): pytest.approx(expected)}


def test_a_block_length_that_follows_k_is_that_of_its_order_preference(tmp_path: Path) -> None:
    entries = [method("left_to_right", "k", 2), method("left_to_right", "k", 2, 8)]
    store = store_with(tmp_path, ["copy"], entries)
    for entry, right in zip(entries, (10, 4), strict=True):
        store.write_samples("ideal", "copy", entry, sample_rows("copy", [1.0] * right + [0.0] * (10 - right)))
    summary = summarise(store)
    assert summary.order_preference == {("ideal", "copy", "left_to_right"): pytest.approx((40 - 100) / (8 - 2))}
    assert summary.measured_by == {"left_to_right": entries}


def test_order_preference_is_absent_where_one_block_length_was_run(tmp_path: Path) -> None:
    store = write_run(tmp_path, [method("left_to_right", "k", k) for k in (1, 2, 4)], ["copy"])
    assert summarise(store).order_preference == {}


def test_interval_of_a_task_does_not_depend_on_what_else_was_run(tmp_path: Path) -> None:
    one, two = method("random", "k", 1), method("random", "k", 2)
    rows = sample_rows("copy", [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.5])
    alone, more = store_with(tmp_path / "a", ["copy"], [one]), store_with(tmp_path / "b", ["sort", "copy"], [two, one])
    for store in (alone, more):
        store.write_samples("ideal", "copy", one, rows)
    more.write_samples("ideal", "copy", two, sample_rows("copy", [1.0] * 7))
    more.write_samples("ideal", "sort", one, sample_rows("sort", [1.0] * 7))
    key = ("ideal", "copy", one)
    assert summarise(alone).points[key] == summarise(more).points[key]


def test_the_seed_of_the_run_changes_the_resamples(tmp_path: Path) -> None:
    entry = method("random", "k", 1)
    intervals = set()
    for seed in (0, 1, 2):
        store = store_with(tmp_path / str(seed), ["copy"], [entry], seed)
        store.write_samples("ideal", "copy", entry, sample_rows("copy", list(np.linspace(0, 1, 50))), seed=seed)
        point = summarise(store).points["ideal", "copy", entry]
        intervals.add((point.low, point.high))
    assert len(intervals) == 3


def test_methods_that_only_some_tasks_have_are_not_missing_on_the_others(tmp_path: Path) -> None:
    methods = [method("random", "k", k) for k in (1, 2)]
    store = store_with(tmp_path, ["copy", "sudoku"], {"copy": methods[:1], "sudoku": methods})
    for task, entry, right in (("copy", 0, 8), ("sudoku", 0, 10), ("sudoku", 1, 5)):
        rows = sample_rows(task, [1.0] * right + [0.0] * (10 - right), 32 >> entry)
        store.write_samples("ideal", task, methods[entry], rows)
    summary = summarise(store)
    assert len(summary.points) == len(summary.keys) == 3
    assert list(summary.means) == [("ideal", methods[0])], "the mean over the tasks needs all of them"
    assert summary.tokens_per_step_at == {("ideal", "random"): {80: 1.0, 75: 1.0, 70: 1.0}}
    assert summary.parallelizability == {
        ("ideal", "copy", "random"): 1.0,
        ("ideal", "sudoku", "random"): pytest.approx((100 + 2 * 50) / 150),
    }


def several_seeds(directory: Path, *of_seeds: list[float]) -> RunStore:
    entry = method("random", "k", 1)
    store = RunStore(directory)
    store.write_settings(run_settings([entry], ["copy"], ["ideal"], seeds=list(range(len(of_seeds)))))
    for seed, scores in enumerate(of_seeds):
        store.write_samples("ideal", "copy", entry, sample_rows("copy", scores), seed=seed)
    return store


def test_seeds_are_averaged_with_their_spread(tmp_path: Path) -> None:
    store = several_seeds(tmp_path, [1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0])
    point = summarise(store).points["ideal", "copy", method("random", "k", 1)]
    assert (point.samples, point.seeds) == (12, 3)
    assert point.headline == pytest.approx(50)
    assert point.seed_deviation == pytest.approx(25)
    assert 0 <= point.low < 50 < point.high <= 100


def test_the_interval_is_wider_where_seeds_differ(tmp_path: Path) -> None:
    right, wrong = [1.0] * 40, [0.0] * 40
    differing = summarise(several_seeds(tmp_path / "differing", right, wrong)).points
    mixed = [1.0, 0.0] * 20
    same = summarise(several_seeds(tmp_path / "same", mixed, mixed)).points
    (one,), (other,) = differing.values(), same.values()
    assert one.headline == other.headline == 50
    assert (one.low, one.high) == (0, 100)
    assert 20 < other.low < other.high < 80


def test_a_seed_that_is_missing_leaves_the_setting_unfinished(tmp_path: Path) -> None:
    store = several_seeds(tmp_path, [1.0], [1.0])
    store.samples_path("ideal", "copy", method("random", "k", 1), 1).unlink()
    assert summarise(store).points == {}


def test_questions_that_failed_are_left_out_and_said(tmp_path: Path) -> None:
    entry = method("random", "k", 1)
    store = store_with(tmp_path, ["copy"], [entry])
    failed = {"id": "copy-test-0009", "prediction": "", "length": 3, "error": "the server gave no answer"}
    store.write_samples("ideal", "copy", entry, [*sample_rows("copy", [1.0, 1.0]), failed])
    summary = summarise(store)
    assert (summary.points["ideal", "copy", entry].headline, summary.points["ideal", "copy", entry].samples) == (100, 2)
    (notice,) = summary.notices
    assert "1 of 3 questions could not be answered" in notice


def test_models_with_answers_of_different_lengths_are_told_of(tmp_path: Path) -> None:
    entry = method("random", "k", 1)
    store = RunStore(tmp_path)
    lengths = {"ideal": {"copy": 32, "sort": 32}, "mine": {"copy": 64, "sort": 64}}
    store.write_settings(run_settings([entry], ["copy", "sort"], ["ideal", "mine"], new_tokens=lengths))
    (notice,) = summarise(store).notices
    assert "copy and 1 more: ideal 32, mine 64" in notice
    same = RunStore(tmp_path / "same")
    same.write_settings(run_settings([entry], ["copy"], ["ideal"], new_tokens={"ideal": {"copy": 32}}))
    assert summarise(same).notices == []
