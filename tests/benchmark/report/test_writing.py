"""The report from disk alone: what it writes, again and again, for finished and unfinished runs."""

import csv
import io
import json
import shutil
import time
from pathlib import Path

import pytest
from example_run import TASKS, default_methods, method, write_run
from rich.console import Console

from benchmark.protocol.method import Method
from benchmark.report.writing import summary_csv, write_report
from benchmark.store.runs import RunStore

SMALL = [
    *(method("random", "k", k) for k in (1, 4, 32)),
    *(method("threshold", "threshold", value) for value in (0.5, 1.0)),
]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return write_run(tmp_path / "run", SMALL, ["copy", "sort"])


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_the_report_needs_nothing_but_the_directory_and_says_the_same_again(store: RunStore, tmp_path: Path) -> None:
    write_report(store.directory)
    shutil.copytree(store.directory, tmp_path / "elsewhere")
    for name in ("summary.json", "summary.csv", "plots"):
        target = tmp_path / "elsewhere" / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    write_report(tmp_path / "elsewhere")
    assert files(tmp_path / "elsewhere") == files(store.directory)


def test_the_report_names_the_files_it_wrote(store: RunStore) -> None:
    report = write_report(str(store.directory))
    names = [str(path.relative_to(store.directory)) for path in report.files]
    plots = [f"plots/{name}.png" for name in ("copy", "sort", "mean", "mean.passes", "overview")]
    assert names == ["summary.json", "summary.csv", "report.html", *plots]
    assert all(path.stat().st_size > 0 for path in report.files)
    assert report.complete
    assert report.missing_line is None


def test_summary_json_holds_every_number_of_the_tables(store: RunStore) -> None:
    report = write_report(store.directory)
    summary = json.loads((store.directory / "summary.json").read_text())
    assert (summary["settings_expected"], summary["settings_present"], summary["missing"]) == (10, 10, [])
    assert [entry["method"] for entry in summary["methods"]] == list(map(str, SMALL))
    assert len(summary["results"]) == 10
    assert list(summary["results"][0]) == [
        "model", "task", "method", "headline", "low", "high", "score_strict", "tokens_per_step",
        "num_rounds", "num_forward_passes", "item_tokens_per_step", "samples", "seeds", "seed_deviation",
        "tokens_per_second", "seconds_to_first_token", "content_tokens_per_step", "tokens_per_forward_pass",
        "kendall_tau", "spearman_rho", "kendall_tau_answer", "spearman_rho_answer", "scores",
    ]  # fmt: skip
    for entry in summary["results"]:
        point = report.summary.points[entry["model"], entry["task"], Method.parse(entry["method"])]
        assert entry["headline"] == pytest.approx(point.headline, abs=1e-6)
        assert entry["low"] <= entry["headline"] <= entry["high"]
        assert entry["scores"] == pytest.approx(point.scores, abs=1e-6)
        assert entry["scores"]["headline"] == entry["headline"]
    assert [entry["method"] for entry in summary["mean_over_tasks"]] == list(map(str, SMALL))
    curves = {entry["curve"]: entry for entry in summary["curves"]}
    assert list(curves) == ["random", "threshold"]
    for name, entry in curves.items():
        reached = report.summary.tokens_per_step_at["ideal", name]
        assert [entry["pb80"], entry["pb75"], entry["pb70"]] == [
            None if speed is None else round(speed, 6) for speed in reached.values()
        ]
    assert curves["random"]["oracle"] is None
    assert curves["threshold"]["oracle"]["samples"] == 40
    assert len(summary["parallelizability"]) == 2
    assert len(summary["oracle"]) == 2


def test_summary_csv_has_a_line_per_setting(store: RunStore) -> None:
    report = write_report(store.directory)
    lines = list(csv.DictReader(io.StringIO((store.directory / "summary.csv").read_text())))
    assert len(lines) == 10
    assert (lines[4]["task"], lines[4]["method"], lines[4]["curve"]) == (
        "copy", "threshold(threshold=1)", "threshold",
    )  # fmt: skip
    assert (lines[4]["parameter"], lines[4]["value"], lines[4]["samples"]) == ("threshold", "1.0", "20")
    assert float(lines[0]["headline"]) == report.summary.points["ideal", "copy", method("random", "k", 1)].headline
    assert summary_csv(report.summary) == (store.directory / "summary.csv").read_text()


def test_an_unfinished_run_is_reported_with_a_line_about_what_is_missing(store: RunStore) -> None:
    store.samples_path("ideal", "sort", method("random", "k", 4)).unlink()
    report = write_report(store.directory)
    assert not report.complete
    assert report.missing_line == "1 of 10 settings missing: the run is not finished."
    summary = json.loads((store.directory / "summary.json").read_text())
    assert summary["missing"] == [["ideal", "sort", "random(k=4)"]]
    curves = {entry["curve"]: entry for entry in summary["curves"]}
    assert (curves["random"]["complete"], curves["random"]["pb70"]) == (False, None)
    assert curves["threshold"]["complete"]


def test_a_run_of_which_nothing_is_done_is_reported(store: RunStore) -> None:
    shutil.rmtree(store.directory / "samples")
    report = write_report(store.directory)
    assert report.missing_line == "10 of 10 settings missing: the run is not finished."
    assert [path.name for path in report.files] == ["summary.json", "summary.csv", "report.html"]


def test_what_is_printed_are_the_tables_and_their_notes(store: RunStore) -> None:
    console = Console(file=io.StringIO(), width=100)
    for part in write_report(store.directory).renderables():
        console.print(part)
    lines = console.file.getvalue().splitlines()
    assert lines[0].startswith("ideal")
    assert any(line.startswith("Mean headline over 2 tasks, by k") for line in lines)
    assert "PBx is the largest" in lines[-2]


@pytest.mark.parametrize("name", ["empty", "absent"])
def test_a_directory_that_is_no_run_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no run") as caught:
        write_report(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert list(tmp_path.rglob("*")) == [tmp_path / "empty"]


def test_a_report_may_be_written_while_the_run_goes_on(store: RunStore) -> None:
    with store.lock():
        assert write_report(store.directory).complete


def test_the_report_removes_what_a_killed_report_left(store: RunStore) -> None:
    write_report(store.directory)
    (store.directory / "summary.json.1.tmp").touch()
    (store.directory / "plots" / "mean.png.1.tmp").touch()
    write_report(store.directory)
    assert not list(store.directory.rglob("*.tmp"))


@pytest.mark.slow
def test_the_report_of_a_default_run_takes_seconds(tmp_path: Path) -> None:
    write_run(tmp_path, default_methods(), TASKS, samples=100)
    start = time.process_time()
    write_report(tmp_path)
    assert time.process_time() - start < 15
