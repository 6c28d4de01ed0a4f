"""Differences of two runs: the exact test against enumeration, intervals that use the pairing, and flips."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from example_run import method, run_settings, sample_rows
from hypothesis import given
from hypothesis import strategies as st

import benchmark
from benchmark.analysis.comparison import compare_runs, mcnemar
from benchmark.store.runs import RunStore

METHODS = [method("random", "k", k) for k in (1, 4)]


def written(directory: Path, scores: dict[str, list[list[float]]], seeds: int = 1) -> Path:
    """A run of the scores of every method on every task."""
    store = RunStore(directory)
    with store.lock():
        store.write_settings(run_settings(METHODS, list(scores), ["ideal"], seeds=list(range(seeds))))
        for task, of_task in scores.items():
            for each, values in zip(METHODS, of_task, strict=True):
                for seed in range(seeds):
                    store.write_samples("ideal", task, each, sample_rows(task, values), seed=seed)
    return directory


@given(st.integers(0, 7), st.integers(0, 7))
def test_the_exact_test_counts_coin_tosses(gained: int, lost: int) -> None:
    total = gained + lost
    # As far from even as what was seen, or farther.
    tosses = [abs(2 * sum(heads) - total) >= abs(gained - lost) for heads in product((0, 1), repeat=total)]
    assert mcnemar(gained, lost) == pytest.approx(sum(tosses) / len(tosses))
    assert mcnemar(gained, lost) == mcnemar(lost, gained)


def test_a_large_table_has_a_p_all_the_same() -> None:
    assert 0 < mcnemar(2000, 3000) < 1e-40


def test_the_pairing_narrows_the_interval(tmp_path: Path) -> None:
    # Half of the questions are hopeless in both runs, and of the others one more is right in the second.
    before = [0.0] * 50 + [1.0] * 49 + [0.0]
    after = [0.0] * 50 + [1.0] * 50
    first = written(tmp_path / "a", {"copy": [before, before]})
    second = written(tmp_path / "b", {"copy": [after, before]})
    found = compare_runs(first, second)
    changed, same = found.settings
    assert changed.difference == pytest.approx(1.0)
    assert changed.high - changed.low < 4  # unpaired, it is about 28
    assert (changed.gained, changed.lost, changed.p) == (1, 0, 1.0)
    assert (same.difference, same.low, same.high, same.verdict) == (0, 0, 0, "same")
    assert found.tasks[0].difference == pytest.approx(0.5)
    assert found.overall.difference == pytest.approx(0.5)


def test_tasks_gain_and_lose(tmp_path: Path) -> None:
    up, down = [0.0] * 10, [1.0] * 10
    first = written(tmp_path / "a", {"copy": [up, up], "sort": [down, down]})
    second = written(tmp_path / "b", {"copy": [down, down], "sort": [up, down]})
    found = compare_runs(first, second)
    assert [(task.task, task.verdict, task.difference) for task in found.tasks] == [
        ("copy", "gains", 100.0),
        ("sort", "loses", -50.0),
    ]
    assert found.overall.difference == 25.0
    # Those that lost come first.
    assert [flip.change for flip in found.flips] == [-1.0] * 10 + [1.0] * 20
    assert found.flips[0].pair.before[1] == "sort"
    assert found.settings[0].p == pytest.approx(2 / 2**10)


def test_swapping_the_runs_turns_all_signs(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    runs = [
        written(tmp_path / name, {"copy": [list(map(float, generator.integers(0, 2, 30))) for _ in METHODS]})
        for name in "ab"
    ]
    for one, other in zip(compare_runs(*runs).settings, compare_runs(*runs[::-1]).settings, strict=True):
        assert one.difference == pytest.approx(-other.difference)
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
        assert (one.gained, one.lost, one.p) == (other.lost, other.gained, other.p)


def test_graded_scores_and_several_seeds_have_no_exact_test(tmp_path: Path) -> None:
    graded = [0.2, 0.9, 0.4]
    assert [found.p for found in compare_runs(*_two(tmp_path / "one", graded, 1)).settings] == [None, None]
    assert [found.p for found in compare_runs(*_two(tmp_path / "two", [1.0, 0.0, 1.0], 2)).settings] == [None, None]


def _two(directory: Path, values: list[float], seeds: int) -> list[Path]:
    return [written(directory / name, {"copy": [values, values]}, seeds) for name in "ab"]


def test_the_table_has_a_line_for_each_setting_and_the_notes(tmp_path: Path) -> None:
    first, second = _two(tmp_path, [1.0, 0.0], 1)
    table = benchmark.compare(first, second)
    assert list(table["method"]) == ["random(k=1)", "random(k=4)"]
    assert list(table["difference"]) == [0.0, 0.0]
    assert table.attrs["notes"] == []
    with pytest.raises(ValueError, match="holds no run"):
        benchmark.compare(first, tmp_path)
