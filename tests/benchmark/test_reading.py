"""Samples as a table: every setting that is on disk, with its scores, also where pandas reads a file by itself."""

from pathlib import Path

import pandas
import pytest
from example_run import method, sample_rows, write_run

import benchmark

METHODS = [method("random", "k", k) for k in (1, 4)]


def test_all_samples_of_a_run_are_one_table(tmp_path: Path) -> None:
    store = write_run(tmp_path / "run", METHODS, ["copy", "sort"], samples=5)
    store.samples_path("ideal", "sort", METHODS[1]).unlink()
    table = benchmark.load_samples(tmp_path / "run")
    assert list(table.columns[:4]) == ["model", "task", "method", "seed"]
    assert len(table) == 3 * 5
    means = table.groupby(["task", "method"])["headline"].mean()
    for task, each in (("copy", METHODS[0]), ("copy", METHODS[1]), ("sort", METHODS[0])):
        rows = store.read_samples("ideal", task, each)
        assert means[task, str(each)] == pytest.approx(sum(row["scores"]["headline"] for row in rows) / 5)


def test_what_two_runs_have_is_read_once(tmp_path: Path) -> None:
    write_run(tmp_path / "one", METHODS[:1], ["copy"], samples=5)
    write_run(tmp_path / "two", METHODS, ["copy"], samples=5)
    for given in ((tmp_path / "one", str(tmp_path / "two")), ([tmp_path / "one", tmp_path / "two"],)):
        table = benchmark.load_samples(*given)
        assert list(table.columns[:5]) == ["model", "task", "method", "seed", "run"]
        assert dict(table.groupby("run").size()) == {str(tmp_path / "one"): 5, str(tmp_path / "two"): 5}


def test_what_is_no_path_is_one_line() -> None:
    for wrong in (3, [None]):
        with pytest.raises(ValueError, match=r"(3|None) is no directory"):
            benchmark.load_samples(wrong)  # type: ignore[arg-type]


def test_a_run_without_samples_is_an_empty_table_and_no_run_is_refused(tmp_path: Path) -> None:
    store = write_run(tmp_path / "run", METHODS[:1], ["copy"], samples=2)
    store.samples_path("ideal", "copy", METHODS[0]).unlink()
    assert benchmark.load_samples(tmp_path / "run").empty
    with pytest.raises(ValueError, match="holds no run"):
        benchmark.load_samples(tmp_path)


def test_pandas_reads_a_file_of_samples_as_it_is(tmp_path: Path) -> None:
    store = write_run(tmp_path / "run", METHODS[:1], ["copy"], samples=4)
    table = pandas.read_json(store.samples_path("ideal", "copy", METHODS[0]), lines=True)
    assert list(table["id"]) == [row["id"] for row in sample_rows("copy", [1.0] * 4)]
    assert set(table["num_forward_passes"]) == {32}
