"""Several runs in one report: their models side by side, and one clear line where they cannot be compared."""

import json
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from example_run import method, run_settings, sample_rows, write_run
from rich.console import Console

from benchmark.analysis.summary import summarise
from benchmark.cli import main
from benchmark.report.tables import notes
from benchmark.report.writing import Report, write_report
from benchmark.store.merging import MergedRuns
from benchmark.store.runs import RunStore, model_names

SMALL = [
    *(method("random", "k", k) for k in (1, 4)),
    *(method("threshold", "threshold", value) for value in (0.5, 1.0)),
]
TASKS = ["copy", "sort"]


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Runs of two models with the same settings on the same tasks."""
    return [
        write_run(tmp_path / name, SMALL, TASKS, (model,)).directory
        for name, model in (("first", "ideal"), ("second", "org/other"))
    ]


def printed(report: Report) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        for part in report.renderables():
            console.print(part)
    return capture.get()


def change(directory: Path, alter: Callable[[dict[str, Any]], None]) -> None:
    path = directory / "settings.json"
    settings = json.loads(path.read_text())
    alter(settings)
    path.write_text(json.dumps(settings))


def test_models_of_several_runs_stand_in_one_report(runs: list[Path], tmp_path: Path) -> None:
    before = [sorted(run.rglob("*")) for run in runs]
    report = write_report(*runs, output=tmp_path / "both")
    assert report.summary.models == ["ideal", "org/other"]
    assert report.complete
    text = printed(report)
    assert "Headline of every model" in text
    assert "ideal: every task and method" in text
    assert "org/other: every task and method" in text
    summary = json.loads((tmp_path / "both" / "summary.json").read_text())
    assert summary["runs"] == ["first", "second"]
    assert len(summary["results"]) == 16
    assert (tmp_path / "both" / "plots" / "overview.png").stat().st_size > 0
    assert [sorted(run.rglob("*")) for run in runs] == before, "nothing is written into a run"


def test_every_number_is_that_of_the_run_alone(runs: list[Path], tmp_path: Path) -> None:
    merged = summarise(MergedRuns(runs, tmp_path / "both"))
    for run in runs:
        alone = summarise(RunStore(run))
        assert alone.points.items() <= merged.points.items()
        assert alone.means.items() <= merged.means.items()
        assert alone.tokens_per_step_at.items() <= merged.tokens_per_step_at.items()
        assert alone.parallelizability.items() <= merged.parallelizability.items()
        assert alone.oracles.items() <= merged.oracles.items()


def test_the_same_run_in_one_and_in_two_directories_is_one_report(tmp_path: Path) -> None:
    whole = summarise(write_run(tmp_path / "whole", SMALL, TASKS))
    parts = [shutil.copytree(tmp_path / "whole", tmp_path / name) for name in ("part0", "part1")]
    for part, kept in zip(parts, (SMALL[:2], SMALL[2:]), strict=True):
        RunStore(part).write_settings(run_settings(kept, TASKS, ["ideal"]))
    merged = summarise(MergedRuns(parts, tmp_path / "both"))
    assert (merged.points, merged.means, merged.oracles) == (whole.points, whole.means, whole.oracles)


def test_what_no_run_was_to_do_is_not_missing(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", SMALL, TASKS).directory
    second = write_run(tmp_path / "second", SMALL[:1], ["copy"], ("org/other",)).directory
    report = write_report(first, second, output=tmp_path / "both")
    assert (len(report.summary.keys), report.missing_line) == (9, None)
    # A mean over one task says nothing beside one over two.
    assert {model for model, _ in report.summary.means} == {"ideal"}
    next((second / "samples").rglob("*.jsonl")).unlink()
    report = write_report(first, second, output=tmp_path / "both")
    assert report.missing_line == "1 of 9 settings missing: the runs are not finished."


def test_a_method_for_some_tasks_only_is_expected_on_those(tmp_path: Path) -> None:
    long = method("random", "k", 64)
    first = write_run(tmp_path / "first", {"copy": SMALL, "sort": [*SMALL, long]}, TASKS).directory
    second = write_run(tmp_path / "second", [*SMALL, long], ["sort"], ("org/other",)).directory
    merged = summarise(MergedRuns([first, second], tmp_path / "both"))
    assert len(merged.points) == len(merged.keys) == 9 + 5
    assert ("ideal", "copy", long) not in merged.keys
    assert {task for _, task, each in merged.keys if each == long} == {"sort"}


def test_a_setting_that_two_runs_have_is_taken_where_it_is_whole(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", SMALL, TASKS)
    second = Path(shutil.copytree(first.directory, tmp_path / "second"))
    expected = summarise(first).points
    first.samples_path("ideal", "copy", SMALL[0]).unlink()
    RunStore(second).samples_path("ideal", "sort", SMALL[0]).write_bytes(b"cut off")
    assert summarise(MergedRuns([first.directory, second], tmp_path / "both")).points == expected


def test_different_answers_to_one_question_are_refused(runs: list[Path], tmp_path: Path) -> None:
    again = shutil.copytree(runs[0], tmp_path / "again")
    label = SMALL[1]
    rows = RunStore(again).read_samples("ideal", "copy", label)
    rows[3]["prediction"] = "another"
    RunStore(again).write_samples("ideal", "copy", label, rows)
    message = f"{runs[0]} and {again} do not go into one report: the answers of ideal to copy-test-0003 under {label}"
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        write_report(*runs, again, output=tmp_path / "both")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "both").exists()


def test_more_answers_in_one_run_than_in_the_other_are_refused(runs: list[Path], tmp_path: Path) -> None:
    again = shutil.copytree(runs[0], tmp_path / "again")
    store, label = RunStore(again), SMALL[0]
    store.write_samples("ideal", "copy", label, store.read_samples("ideal", "copy", label)[:-1])
    with pytest.raises(ValueError, match=r"answers of ideal to copy-test-0019 under random\(k=1\) are not the same"):
        write_report(runs[0], again, output=tmp_path / "both")


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (lambda s: s.update(temperature=0.5), "temperature is None in the first and 0.5 in the second"),
        (
            lambda s: s["groups"][0].update(new_tokens=8),
            "the number of new tokens of copy is None in the first and 8 in the second",
        ),
        (
            lambda s: s.update(models=[{"name": "ideal", "revision": "abc", "dtype": "float16"}]),
            "model ideal is without a record in the first and dtype float16, revision abc in the second",
        ),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(
    runs: list[Path], tmp_path: Path, alter: Callable[[dict[str, Any]], None], message: str
) -> None:
    change(runs[1], lambda settings: settings.update(run_settings(SMALL, TASKS, ["ideal"])))
    change(runs[1], alter)
    with pytest.raises(ValueError, match=re.escape(f"do not go into one report: {message}")) as error:
        MergedRuns(runs, tmp_path / "both")
    assert "\n" not in str(error.value)


def test_other_questions_of_one_task_are_refused(runs: list[Path], tmp_path: Path) -> None:
    for run, digest in zip(runs, ("a" * 64, "b" * 64), strict=True):
        change(run, lambda settings, digest=digest: settings.update(data={"checksums": {"sort": digest}}))
    expected = "the checksum of the questions of sort is aaaaaaaaaaaa in the first and bbbbbbbbbbbb in the second"
    with pytest.raises(ValueError, match=f"{expected}$"):
        MergedRuns(runs, tmp_path / "both")
    change(runs[1], lambda settings: settings.update(samples=10))
    hint = "; the first was run on all of them, the second on the first 10"
    with pytest.raises(ValueError, match=f"{expected}{hint}$"):
        MergedRuns(runs, tmp_path / "both")


def test_the_report_does_not_go_into_a_run_or_a_file(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="second holds a run; choose another directory"):
        write_report(*runs, output=runs[1])
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="it is, or lies in, a file"):
        write_report(*runs, output=tmp_path / "file")
    with pytest.raises(ValueError, match="needs a directory of its own"):
        write_report(*runs)
    with pytest.raises(ValueError, match="holds no run"):
        write_report(runs[0], tmp_path / "nowhere", output=tmp_path / "both")


@pytest.mark.parametrize("inside", ["deeper", "samples", "plots/more", "../second/report"])
def test_the_report_does_not_go_into_a_directory_of_a_run(runs: list[Path], tmp_path: Path, inside: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    output = runs[0] / inside
    run = runs[1] if ".." in inside else runs[0]
    with pytest.raises(ValueError, match=re.escape(f"{output} lies in the run {run}; choose another directory")):
        write_report(*runs, output=output)
    (tmp_path / "link").symlink_to(runs[0])
    with pytest.raises(ValueError, match="lies in the run"):
        write_report(*runs, output=tmp_path / "link" / "deeper")
    (tmp_path / "link").unlink()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_that_is_named_twice_is_read_once(runs: list[Path], tmp_path: Path) -> None:
    again = runs[0] / ".." / runs[0].name
    merged = MergedRuns([*runs, again, runs[0]], tmp_path / "both")
    assert merged.read_settings()["runs"] == ["first", "second"]


def test_a_run_s_own_directory_may_be_named_as_that_of_its_report(runs: list[Path]) -> None:
    plain = write_report(runs[0])
    before = {path: path.read_bytes() for path in plain.files}
    assert write_report(runs[0], output=runs[0] / ".." / runs[0].name).files == plain.files
    assert {path: path.read_bytes() for path in plain.files} == before


def test_signatures_come_from_the_run_whose_samples_are_shown(runs: list[Path], tmp_path: Path) -> None:
    store, label = RunStore(runs[1]), SMALL[0]
    rows = sample_rows("copy", [1.0, 0.0])
    store.write_samples("org/other", "copy", label, rows, signatures={"grammar": "LanguageTool 6.8"})
    merged = MergedRuns(runs, tmp_path / "both")
    assert merged.find_signatures("org/other", "copy", label) == {"grammar": "LanguageTool 6.8"}
    assert merged.find_signatures("ideal", "copy", label) == {}
    assert merged.find_signatures("nobody", "copy", label) == {}
    whole = shutil.copytree(runs[1], tmp_path / "whole")
    store.samples_path("org/other", "copy", label).write_bytes(b"cut off")
    merged = MergedRuns([*runs, whole], tmp_path / "both")
    assert merged.find_signatures("org/other", "copy", label) == {"grammar": "LanguageTool 6.8"}


def test_a_report_waits_for_another_one_into_the_same_directory(runs: list[Path], tmp_path: Path) -> None:
    both = tmp_path / "both"
    both.mkdir()
    (both / "summary.json.1.tmp").write_text("left by a report that was killed")
    written = threading.Event()

    def write() -> None:
        write_report(*runs, output=both)
        written.set()

    with MergedRuns(runs, both).report_lock():
        assert not (both / "summary.json.1.tmp").exists()
        other = threading.Thread(target=write)
        other.start()
        assert not written.wait(0.5)
        assert not (both / "summary.json").exists()
    other.join(60)
    assert written.is_set()


def test_the_command_line_reports_several_runs(runs: list[Path], tmp_path: Path) -> None:
    names = list(map(str, runs))
    done = CliRunner().invoke(main, ["report", *names, "--output", str(tmp_path / "both")])
    assert done.exit_code == 0, done.output
    assert "Headline of every model" in done.output
    assert f"files in {tmp_path / 'both'}: report.html" in done.output
    refused = CliRunner().invoke(main, ["report", *names])
    assert refused.exit_code == 2
    assert "several runs need a directory for their report: add --output DIRECTORY." in refused.output
    alone = CliRunner().invoke(main, ["report", names[0], "--output", str(tmp_path / "elsewhere")])
    assert alone.exit_code == 0
    assert (tmp_path / "elsewhere" / "summary.csv").exists()
    assert not (runs[0] / "summary.csv").exists()


def test_what_models_cannot_answer_stands_in_the_report_of_several_runs(runs: list[Path], tmp_path: Path) -> None:
    for number, run in enumerate(runs):
        store = RunStore(run)
        settings = store.read_settings()
        (model,), task = model_names(settings), settings["groups"][0]["tasks"][0]
        limits = {"notices": [f"{model}: line {number}"], "best_scores": {model: {task: 50.0 + number}}}
        store.write_settings({**settings, **limits})
    report = write_report(*runs, output=tmp_path / "both")
    assert notes(report.summary)[: len(runs)] == report.summary.notices
    assert len(report.summary.notices) == len(runs)
    assert sorted(report.summary.best_scores.values()) == [50.0 + number for number in range(len(runs))]
