"""Trackers: what a run tells them, read back from what they wrote, and that no failure of theirs is the run's."""

import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas
import pytest
from example_run import method, sample_rows
from support import ROOT, call

from benchmark.loggers import trackers
from benchmark.loggers.trackers import Trackers, check_trackers, point_values

TASK = "waiting_line_shuffle"
CURVE = f"ideal/{TASK}/random"


class Remembering:
    """A tracker that keeps what it is told, and fails from the n-th time on."""

    place = "here"

    def __init__(self, failing_from: int = 10**9) -> None:
        self.told: list[tuple[Any, ...]] = []
        self._failing_from = failing_from

    def _tell(self, *what: Any) -> None:
        if len(self.told) >= self._failing_from:
            raise ConnectionError("the server\nis gone")
        self.told.append(what)

    def point(self, curve: str, values: Mapping[str, float]) -> None:
        self._tell("point", curve, dict(values))

    def table(self, name: str, table: pandas.DataFrame) -> None:
        self._tell("table", name, len(table))

    def finish(self) -> None:
        self._tell("finish")


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> dict[str, Remembering]:
    """Two trackers, the second of which fails when it is told a second time."""
    made = {"wandb": Remembering(), "trackio": Remembering(1)}
    monkeypatch.setattr(trackers, "_opened", lambda name, run, settings: made[name])
    return made


def test_a_tracker_that_fails_is_one_warning_and_the_other_goes_on(both: dict[str, Remembering]) -> None:
    lines: list[str] = []
    told = Trackers(lines.append)
    told.start(["wandb", "trackio", "wandb"], "run", {})
    for _ in range(3):
        told.setting_done("ideal", "copy", method("random", "k", 4), "random", sample_rows("copy", [1.0, 0.0]))
    told.finish()
    assert lines[:2] == ["wandb: here", "trackio: here"]
    assert lines[2:] == ["trackio failed and is told nothing more (ConnectionError: the server is gone)"]
    assert [what[0] for what in both["wandb"].told] == ["point"] * 3 + ["finish"]
    assert both["wandb"].told[0][1] == "ideal/copy/random"


def test_a_tracker_that_cannot_begin_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("no login")

    monkeypatch.setattr(trackers, "_opened", refuse)
    lines: list[str] = []
    told = Trackers(lines.append)
    told.start(["wandb"], "run", {})
    told.table("results", pandas.DataFrame())
    assert lines == ["wandb failed and is told nothing more (RuntimeError: no login)"]


def test_a_point_holds_means_of_what_was_answered() -> None:
    rows = [*sample_rows("copy", [1.0, 0.0]), {"id": "x", "prediction": "", "error": "timeout"}]
    values = point_values(rows)
    assert values["headline"] == 50.0
    assert values["tokens_per_step"] == 4.0
    assert point_values(rows[2:]) == {}


def test_a_package_that_is_missing_is_said_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    result = call("run", "--model", "ideal", "--task", TASK, "--log", "trackio")
    assert result.exit_code == 2
    assert "--log trackio: trackio is not installed; pip install 'parallelbench[trackio]'" in result.output
    assert list(elsewhere.iterdir()) == []
    with pytest.raises(ValueError, match="no such tracker"):
        check_trackers(["mlflow"])


FEW = ("--task", TASK, "--scheduler", "random:k=[1,4,8]", "--samples", "4")
# Row by row this takes long enough to be killed in the middle.
MANY = ("--task", TASK, "--task", "puzzle_sudoku*", "--scheduler", "random", "--samples", "16")
CURVES = {"few": {CURVE: [1, 4, 8]}}
CURVES["many"] = {CURVE: [1, 2, 4, 8, 16, 32], "ideal/puzzle_sudoku_n4_12/random": [1, 2, 4, 8, 16, 32, 64]}


def _command(directory: Path, *names: str, asked: Sequence[str] = FEW, **variables: str) -> dict[str, Any]:
    """What starts a run that is told to trackers, in a process of its own: they read their variables when imported."""
    code = "from benchmark.cli import main; main()"
    logs = [part for name in names for part in ("--log", name)]
    return {
        "args": [
            sys.executable,
            "-c",
            code,
            "run",
            "--model",
            "ideal",
            *asked,
            "--log-samples",
            "--output",
            "run",
            *logs,
        ],
        "cwd": directory,
        "env": {**os.environ, "WANDB_MODE": "offline", "TRACKIO_DIR": str(directory / "trackio"), **variables},
    }


def _logged(directory: Path, *names: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(**_command(directory, *names, **more), capture_output=True, text=True)


def _wandb_records(path: Path) -> Iterator[Any]:
    """The records of a file of an offline run: a log of LevelDB behind seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


@pytest.mark.slow
def test_what_wandb_wrote_offline_is_the_run(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    done = _logged(tmp_path, "wandb")
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    records = list(_wandb_records(file))
    history = [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in records
        if record.WhichOneof("record_type") == "history"
    ]
    points = [entry for entry in history if f"{CURVE}/headline" in entry]
    assert [entry[f"{CURVE}/tokens_per_step"] for entry in points] == [1, 4, 8]
    summary = pandas.read_csv(tmp_path / "run" / "summary.csv")
    assert [entry[f"{CURVE}/headline"] for entry in points] == list(summary["headline"])
    config = {
        item.key: json.loads(item.value_json)
        for record in records
        if record.WhichOneof("record_type") == "run"
        for item in record.run.config.update
    }
    assert config["samples"] == 4
    tables = {path.name.split("_")[0]: json.loads(path.read_text()) for path in tmp_path.rglob("*.table.json")}
    assert tables.keys() == {"results", "pb", "samples"}
    assert tables["results"]["columns"] == list(summary.columns)
    assert len(tables["samples"]["data"]) == 12


@pytest.mark.slow
def test_what_trackio_stored_is_the_run(tmp_path: Path) -> None:
    pytest.importorskip("trackio", reason="trackio is not installed")
    done = _logged(tmp_path, "trackio")
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "trackio" / "parallelbench.db") as connection:
        logged = [json.loads(text) for (text,) in connection.execute("select metrics from metrics order by id")]
        config = json.loads(connection.execute("select config from configs").fetchone()[0])
    points = [entry for entry in logged if f"{CURVE}/headline" in entry]
    assert [entry[f"{CURVE}/tokens_per_step"] for entry in points] == [1, 4, 8]
    assert {name for entry in logged for name in entry if name in ("results", "pb", "samples")} == {
        "results",
        "pb",
        "samples",
    }
    assert config["samples"] == 4


def _of_wandb(directory: Path) -> list[dict[str, list[float]]]:
    """Of each offline run, in the order in which they began, curve → its tokens per step as they were told."""
    found = []
    for file in sorted(directory.glob("wandb/offline-run-*/*.wandb")):
        curves: dict[str, list[float]] = {}
        for record in _wandb_records(file):
            for item in record.history.item if record.WhichOneof("record_type") == "history" else ():
                curve, _, name = (item.key or "/".join(item.nested_key)).rpartition("/")
                if name == "tokens_per_step":
                    curves.setdefault(curve, []).append(json.loads(item.value_json))
        found.append(curves)
    return found


def _of_trackio(directory: Path) -> list[dict[str, list[float]]]:
    """The same of trackio."""
    found: dict[str, dict[str, list[float]]] = {}
    with sqlite3.connect(directory / "trackio" / "parallelbench.db") as connection:
        for run, text in connection.execute("select run_id, metrics from metrics order by id"):
            for key, value in json.loads(text).items():
                curve, _, name = key.rpartition("/")
                if name == "tokens_per_step":
                    found.setdefault(run, {}).setdefault(curve, []).append(value)
    return list(found.values())


def _each_once(curves: dict[str, list[float]]) -> dict[str, list[float]]:
    return {curve: sorted(speeds) for curve, speeds in curves.items()}


@pytest.mark.slow
def test_a_run_that_is_on_disk_is_told_again_as_a_whole(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    pytest.importorskip("trackio", reason="trackio is not installed")
    for _ in range(2):
        done = _logged(tmp_path, "wandb", "trackio")
        assert done.returncode == 0, done.stderr
    assert "all 3 settings are on disk" in done.stdout
    assert _of_wandb(tmp_path) == _of_trackio(tmp_path) == [CURVES["few"], CURVES["few"]]


@pytest.mark.slow
def test_a_run_that_was_killed_is_told_as_far_as_it_came_and_then_as_a_whole(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    pytest.importorskip("trackio", reason="trackio is not installed")
    command = _command(tmp_path, "wandb", "trackio", asked=[*MANY, "--batch-size", "1", "--no-sharing"])
    process = subprocess.Popen(**command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not list(tmp_path.glob("run/samples/*/*/*.jsonl")) and process.poll() is None:
            time.sleep(0.05)
        # Long enough for a tracker that sends what it has twice a second.
        time.sleep(1.5)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    done = _logged(tmp_path, "wandb", "trackio", asked=MANY)
    assert done.returncode == 0, done.stderr
    assert "settings are on disk; going on with the rest" in done.stdout
    # wandb writes to its file once it has so and so much, and loses the rest.
    for told, least in ((_of_wandb(tmp_path), 0), (_of_trackio(tmp_path), 1)):
        assert len(told) == 2
        assert _each_once(told[1]) == CURVES["many"]
        assert least <= sum(map(len, told[0].values())) < sum(map(len, told[1].values()))
        assert all(set(speeds) <= set(CURVES["many"][curve]) for curve, speeds in told[0].items())


@pytest.mark.slow
def test_what_two_workers_decoded_is_told_by_one(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    pytest.importorskip("trackio", reason="trackio is not installed")
    shutil.copytree(ROOT / "hub_model", tmp_path / "mine")
    asked = [*FEW, "--model", "mine", "--workers", "2"]
    done = _logged(tmp_path, "wandb", "trackio", asked=asked)
    assert done.returncode == 0, done.stderr
    wanted = CURVES["few"] | {f"mine/{TASK}/random": [1, 4, 8]}
    for told in (_of_wandb(tmp_path), _of_trackio(tmp_path)):
        assert [_each_once(curves) for curves in told] == [wanted]


@pytest.mark.slow
def test_a_run_is_whole_though_its_tracker_cannot_write(tmp_path: Path) -> None:
    pytest.importorskip("trackio", reason="trackio is not installed")
    (tmp_path / "file").write_text("in its way")
    done = _logged(tmp_path, "trackio", TRACKIO_DIR=str(tmp_path / "file"))
    assert done.returncode == 0, done.stderr
    # trackio keeps going where it cannot write, with a warning of its own.
    assert (done.stdout + done.stderr).count("trackio failed") == 1
    assert len(pandas.read_csv(tmp_path / "run" / "summary.csv")) == 3
