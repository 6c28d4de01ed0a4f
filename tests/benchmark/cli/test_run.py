"""What the commands do: begin, go on with, refuse and replace a run, and what they print."""

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import call, read_lines, timeless

from benchmark.cli.report import show_report
from benchmark.cli.run import RunOptions, run_benchmark
from benchmark.protocol.method import Method
from benchmark.store.runs import RunStore

pytestmark = pytest.mark.usefixtures("elsewhere")

OPTIONS = RunOptions(
    models=("ideal",),
    tasks=("waiting_line/shuffle", "puzzle_sudoku*"),
    schedulers=("random:k=8", "threshold:threshold=0.5"),
    samples=8,
)


def run(**changes: Any) -> None:
    run_benchmark(replace(OPTIONS, **changes))


def contents(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, but locks; samples without the seconds that they took."""
    files = [path for path in directory.rglob("*") if path.is_file() and not path.name.endswith(".lock")]
    return {str(path.relative_to(directory)): timeless(path) for path in files}


@pytest.fixture
def without_report(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Drawing the plots takes longer than a small run; the directories that a report was asked for."""
    asked: list[Path] = []
    monkeypatch.setattr("benchmark.cli.run.show_report", lambda directory, published: asked.append(directory))
    return asked


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with its report, to be copied."""
    directory = tmp_path_factory.mktemp("kept") / "run"
    run(output=directory)
    return directory


@pytest.fixture
def copied(kept: Path, elsewhere: Path) -> Path:
    """A finished run of this test's own, at `run` in the working directory."""
    return shutil.copytree(kept, elsewhere / "run")


# -- begin and go on -----------------------------------------------------------------------------------------------


def test_a_run_leaves_settings_samples_and_report(kept: Path) -> None:
    files = contents(kept)
    assert len([name for name in files if name.endswith(".seed0.jsonl")]) == 4
    assert {"settings.json", "summary.json", "summary.csv", "plots/mean.png"} < files.keys()
    settings = json.loads(files["settings.json"])
    assert [group["tasks"] for group in settings["groups"]] == [["waiting_line_shuffle", "puzzle_sudoku_n4_12"]]
    assert {"python", "parallelbench", "torch", "diffusers"} < settings["versions"].keys()
    assert len(settings["data"]["checksums"]["waiting_line_shuffle"]) == 64
    assert json.loads(files["summary.json"])["missing"] == []


@pytest.mark.usefixtures("without_report")
def test_a_run_without_output_is_in_a_directory_named_after_its_settings(elsewhere: Path) -> None:
    run(seed=3)
    run(seed=3)
    (directory,) = (elsewhere / "results").iterdir()
    assert directory.name.startswith("ideal-2tasks-2methods-seed3-")
    run(seed=4)
    assert len(list((elsewhere / "results").iterdir())) == 2


def test_the_same_command_shows_the_table_from_disk_when_all_is_done(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(copied)
    monkeypatch.setattr("benchmark.engine.runner.Runner.run", None)
    run(output=copied)
    assert contents(copied) == before
    shown = capsys.readouterr().out
    assert "all 4 settings are on disk" in shown
    for expected in ("waiting_line_shuffle", "puzzle_sudoku_n4_12", "random(k=8)", "threshold(threshold=0.5)", "NFE"):
        assert expected in shown


@pytest.mark.usefixtures("without_report")
def test_what_is_missing_or_cut_off_is_run_again_to_the_same_bytes(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(copied)
    first, second, *untouched = sorted((copied / "samples").rglob("*.jsonl"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:100])
    (second.parent / f"{second.name}.1234.tmp").write_bytes(b"half")
    times = [path.stat().st_mtime_ns for path in untouched]

    run(output=copied, batch_size=3)
    assert contents(copied) == before
    assert [path.stat().st_mtime_ns for path in untouched] == times
    assert "2 of 4 settings are on disk; going on with the rest" in capsys.readouterr().out


@pytest.mark.usefixtures("without_report")
def test_fresh_starts_anew_and_comes_to_the_same_bytes(copied: Path) -> None:
    before = {name: content for name, content in contents(copied).items() if name.startswith(("samples", "settings"))}
    sample = next((copied / "samples").rglob("*.jsonl"))
    (copied / "notes.txt").write_text("mine")
    time = sample.stat().st_mtime_ns
    run(output=copied, fresh=True)
    assert contents(copied) == {**before, "notes.txt": b"mine"}
    assert sample.stat().st_mtime_ns > time


@pytest.mark.usefixtures("without_report")
def test_fresh_replaces_another_run(copied: Path) -> None:
    run(output=copied, fresh=True, seed=1, schedulers=("margin:k=32",))
    names = [path.name for path in (copied / "samples").rglob("*.jsonl")]
    assert names == ["margin(k=32).seed1.jsonl"] * 2
    assert RunStore(copied).read_settings()["seeds"] == [1]


def test_an_interrupted_run_says_that_it_goes_on(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], without_report: list[Path]
) -> None:
    import click

    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    next((copied / "samples").rglob("*.jsonl")).unlink()
    monkeypatch.setattr("benchmark.engine.runner.Runner.run", interrupted)
    with pytest.raises(click.exceptions.Abort):
        run(output=copied)
    assert "the same command goes on from here" in capsys.readouterr().out
    assert without_report == []


# -- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"models": ("gpt",)}, "unknown model 'gpt'"),
        ({"tasks": ("waiting_line_cpy",)}, "unknown task 'waiting_line_cpy'"),
        ({"schedulers": ("luck",)}, "unknown scheduler 'luck'"),
        ({"schedulers": ("random:quota=4",)}, "no parameter 'quota'"),
        ({"schedulers": ("random:k=0",)}, "k=0"),
        ({"max_new_tokens": 4}, "ideal on waiting_line_shuffle: the longest answer takes 24 tokens, and only 4"),
        ({"tasks": ("waiting_line_n15_shuffle",)}, "ideal on waiting_line_n15_shuffle: .*answers"),
    ],
    ids=str,
)
def test_a_run_that_cannot_be_is_refused_before_anything_is_written(
    changes: dict[str, Any], expected: str, elsewhere: Path
) -> None:
    with pytest.raises(ValueError, match=expected):
        run(**changes)
    with pytest.raises(ValueError, match=expected):
        run(**changes, output=Path("run"), fresh=True)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"seed": 1}, "other seeds"),
        ({"samples": 4}, "samples is 8 there, 4 here"),
        ({"temperature": 0.5}, "temperature is the default there, 0.5 here"),
        ({"max_new_tokens": 64}, "new tokens of waiting_line_shuffle is the default there, 64 here"),
        ({"tasks": ("waiting_line_shuffle",)}, "other tasks"),
        ({"schedulers": ("random:k=4",)}, "other methods"),
        ({"block_length": 4}, "other methods"),
    ],
    ids=str,
)
def test_a_directory_with_another_run_is_left_alone(changes: dict[str, Any], expected: str, copied: Path) -> None:
    before = contents(copied)
    with pytest.raises(ValueError, match=rf"holds another run \({expected}\); choose another --output, or --fresh"):
        run(output=copied, **changes)
    assert contents(copied) == before


def test_the_batch_size_makes_no_other_run(copied: Path, without_report: list[Path]) -> None:
    run(output=copied, batch_size=1)
    assert without_report == [copied]


def test_samples_without_settings_are_nobodys(copied: Path, without_report: list[Path]) -> None:
    (copied / "settings.json").unlink()
    before = contents(copied)
    with pytest.raises(ValueError, match=r"holds samples without the settings\.json"):
        run(output=copied)
    assert contents(copied) == before
    run(output=copied, fresh=True)
    assert without_report == [copied]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"colour": "red"}'])
def test_settings_that_cannot_be_read_are_refused_and_replaced_only_when_told(
    text: str, copied: Path, without_report: list[Path]
) -> None:
    (copied / "settings.json").write_text(text)
    before = contents(copied)
    with pytest.raises(ValueError, match=r"settings\.json"):
        run(output=copied)
    assert contents(copied) == before
    run(output=copied, fresh=True)
    assert without_report == [copied]


@pytest.mark.parametrize("name", ["settings.json", "summary.csv", "plots/mine.png", "samples/mine.jsonl"])
def test_fresh_removes_no_files_of_a_directory_that_never_held_a_run(name: str, elsewhere: Path) -> None:
    mine = elsewhere / "project" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("{}")
    for _ in range(2):
        with pytest.raises(ValueError, match=f"project holds {name.split('/')[0]}, but no run"):
            run(output=elsewhere / "project", fresh=True)
    assert contents(elsewhere) == {f"project/{name}": b"{}"}


@pytest.mark.usefixtures("without_report")
def test_a_copied_run_may_be_replaced_without_its_lock(copied: Path) -> None:
    (copied / ".run.lock").unlink(missing_ok=True)
    run(output=copied, fresh=True, seed=1)
    assert RunStore(copied).read_settings()["seeds"] == [1]


@pytest.mark.usefixtures("without_report")
def test_other_files_in_the_directory_stay(elsewhere: Path) -> None:
    (elsewhere / "plots").mkdir()
    (elsewhere / "plots" / "mine.png").write_text("mine")
    run(output=elsewhere)
    assert (elsewhere / "plots" / "mine.png").read_text() == "mine"


def test_a_file_in_the_place_of_the_directory_is_named(elsewhere: Path) -> None:
    (elsewhere / "run").write_text("mine")
    with pytest.raises(ValueError, match="it is, or lies in, a file"):
        run(output=elsewhere / "run")
    assert contents(elsewhere) == {"run": b"mine"}


# -- what is printed -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("without_report")
def test_a_file_gets_a_line_per_task_and_no_control_characters(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(output=elsewhere / "run [red] of mine")
    printed = capsys.readouterr()
    assert printed.err == ""
    head, *tasks = printed.out.splitlines()
    assert head == f"run directory: {elsewhere}/run [red] of mine"
    assert sorted(line.split(":")[0] for line in tasks) == ["puzzle_sudoku_n4_12", "waiting_line_shuffle"]
    assert tasks[-1].endswith("done; 4 of 4 settings are on disk")
    assert all(character.isprintable() or character == "\n" for character in printed.out)


def test_a_report_needs_the_directory_alone(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(copied)
    for name in ("summary.json", "summary.csv"):
        (copied / name).unlink()
    shutil.rmtree(copied / "plots")
    show_report(copied)
    assert contents(copied) == before
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "random(k=8)" in printed.out
    assert f"in {copied}: report.html" in printed.out
    assert all(character.isprintable() or character == "\n" for character in printed.out)


def test_a_report_of_an_unfinished_run_says_what_is_missing(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    next((copied / "samples").rglob("*.jsonl")).unlink()
    show_report(copied)
    assert "1 of 4" in capsys.readouterr().out


def test_a_report_of_no_run_is_refused(elsewhere: Path) -> None:
    with pytest.raises(ValueError, match="holds no run"):
        show_report(elsewhere / "nowhere")
    assert list(elsewhere.iterdir()) == []


# -- grids and block lengths -------------------------------------------------------------------------------------------


def test_two_block_lengths_of_one_method_are_one_run_with_an_order_preference(elsewhere: Path) -> None:
    arguments = ["--model", "ideal", "--task", "waiting_line_shuffle", "--samples", "12", "--output", "run"]
    result = call(
        "run", *arguments, "--scheduler", "confidence:k=2,block_length=[2,8]", "--scheduler", "confidence:k=2"
    )
    assert result.exit_code == 0, result.output
    store = RunStore("run")
    methods = [Method.parse(f"confidence(k=2{blocks})") for blocks in (", block_length=2", ", block_length=8", "")]
    headlines = []
    for method in methods:
        rows = store.read_samples("ideal", "waiting_line_shuffle", method)
        assert {row["num_forward_passes"] for row in rows} == {16}
        headlines.append(100 * np.mean([row["scores"]["headline"] for row in rows]))
    assert len({store.samples_path("ideal", "waiting_line_shuffle", method) for method in methods}) == 3
    slope = float(np.polyfit([2, 8, 32], headlines, 1)[0])
    table = result.stdout.partition("Order preference")[2]
    assert " ".join(table.split()).startswith(": points of headline per token of block length, at k=2 task confidence")
    assert re.search(rf"waiting_line_shuffle +{slope:.2f}\s", table)
    (entry,) = json.loads(Path("run/summary.json").read_text())["order_preference"]
    assert entry["methods"] == list(map(str, methods))
    assert entry["slope"] == pytest.approx(slope, abs=1e-5)
    lines = list(csv.DictReader(Path("run/summary.csv").read_text().splitlines()))
    assert [line["block_length"] for line in lines] == ["2", "8", ""]
    assert [float(line["order_preference"]) for line in lines] == [pytest.approx(slope, abs=1e-5)] * 3


def test_a_grid_of_one_s_own_is_run_and_what_needs_more_is_left_out(elsewhere: Path) -> None:
    Path("mine.yaml").write_text(
        "models: [ideal]\nsamples: 2\ngroups:\n"
        "  - {tasks: [waiting_line_copy], methods: ['random:k=[16, 32]'], new_tokens: 40}\n"
        "  - {tasks: [waiting_line_copy, puzzle], models: [someone], needs: a baseline}\n"
    )
    result = call("run", "--grid", "mine.yaml", "--output", "run")
    assert result.exit_code == 0, result.output
    assert "3 runs of someone are left out: they need a baseline" in result.stdout
    samples = RunStore("run").read_samples("ideal", "waiting_line_copy", Method.parse("random(k=16)"))
    assert [row["num_tokens"] for row in samples] == [40, 40]
    assert len(list(Path("run/samples").rglob("*.jsonl"))) == 2


@pytest.mark.usefixtures("without_report")
def test_without_sharing_the_samples_are_the_same_and_say_so(elsewhere: Path) -> None:
    samples: dict[bool, list[dict[str, Any]]] = {}
    for sharing in (True, False):
        run(models=("ideal-greedy",), output=elsewhere / str(sharing) / "run", sharing=sharing, memory=0.5)
        files = sorted((elsewhere / str(sharing) / "run" / "samples").rglob("*.jsonl"))
        lines = [line for path in files for line in read_lines(path) if "id" in line]
        assert {line.pop("shared") for line in lines} == {sharing}
        assert all(line.pop("seconds") > 0 for line in lines)
        samples[sharing] = lines
    assert samples[True] == samples[False]
    assert len(samples[True]) == 4 * 8
    for line in samples[True]:
        assert len(line["commit_steps"]) == line["num_tokens"]
        assert sorted(set(line["commit_steps"])) == list(range(1, line["num_forward_passes"] + 1))
