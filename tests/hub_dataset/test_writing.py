"""Tests of building a dataset directory: reproducible, replaced as a whole, and loadable."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from support import comes_true, is_alive, slow_except

import hub_dataset
from hub_dataset import build_rows, checksum, default_task_names, task_info
from hub_dataset.writing import build_dataset

ROOT = Path(hub_dataset.__file__).resolve().parent.parent
TASKS = ["waiting_line_copy", "puzzle_sudoku_n4_12"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def front_matter(folder: Path):
    return yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_two_builds_are_the_same_bytes_whatever_the_order(tmp_path, file_format):
    first, second = tmp_path / "a" / "parallelbench", tmp_path / "b" / "parallelbench"
    options = {"rows": 30, "file_format": file_format}
    build_dataset(first, TASKS, splits=["test", "train"], **options)
    build_dataset(second, TASKS[::-1], splits=["train", "test"], **options)
    assert contents(first) == contents(second)
    assert len(contents(first)) == 5


@pytest.mark.parametrize("file_format", ["jsonl", "parquet", "sft"])
def test_workers_change_neither_a_byte_nor_the_count(tmp_path, file_format):
    options = {"splits": ["train", "validation"], "rows": 30, "file_format": file_format, "names": "generated"}
    reported = []
    alone = build_dataset(tmp_path / "a", TASKS, **options)
    shared = build_dataset(
        tmp_path / "b", TASKS[::-1], **options, workers=4, on_file=lambda *file: reported.append(file)
    )
    assert alone == shared == 120
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert sorted(reported) == sorted((task, split, 30) for task in TASKS for split in ("train", "validation"))


def test_error_in_a_worker_comes_out_and_leaves_the_old_build(tmp_path):
    output = tmp_path / "parallelbench"
    build_dataset(output, TASKS)
    before = contents(tmp_path)
    broken = replace(task_info(TASKS[0]), prompt="{nothing}")
    with pytest.raises(KeyError, match="nothing"):
        build_dataset(output, [broken, TASKS[1]], workers=2)
    assert contents(tmp_path) == before


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_workers_end_when_the_build_is_killed(tmp_path):
    command = [sys.executable, "generate_tasks.py", "build", *TASKS, "--split", "train", "--rows", "3000000"]
    command += ["--workers", "2", "--output", str(tmp_path / "parallelbench")]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    new = tmp_path / ".parallelbench.new"
    assert comes_true(lambda: len([path for path in new.glob("*/train.jsonl") if path.stat().st_size]) == 2)
    workers = children(process.pid)
    assert len(workers) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert comes_true(lambda: not any(map(is_alive, workers)))


def children(pid: int) -> list[int]:
    return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_nothing_but_the_dataset_is_left_behind(tmp_path):
    build_dataset(tmp_path / "parallelbench", TASKS)
    build_dataset(tmp_path / "parallelbench", TASKS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["parallelbench"]


def test_card_lists_what_was_built_with_version_and_checksum(tmp_path):
    output = tmp_path / "parallelbench"
    assert build_dataset(output, TASKS) == 208
    configs = front_matter(output)["configs"]
    assert configs == [
        {
            "config_name": name,
            "version": hub_dataset.DATA_VERSION,
            "description": f"sha256:{checksum(build_rows(name))}",
            "data_files": [{"split": "test", "path": f"{name}/test.jsonl"}],
        }
        for name in TASKS
    ]


def test_new_build_replaces_the_old_one_as_a_whole(tmp_path):
    output = tmp_path / "parallelbench"
    build_dataset(output, TASKS)
    build_dataset(output, TASKS[:1])
    assert sorted(contents(output)) == ["README.md", "waiting_line_copy/test.jsonl"]


@pytest.mark.parametrize("content", [{"thesis.tex": "x"}, {"README.md": "my project"}])
def test_directory_of_something_else_is_never_replaced(tmp_path, content):
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match="not of a built dataset"):
        build_dataset(tmp_path, TASKS)
    assert contents(tmp_path) == {name: text.encode() for name, text in content.items()}


def test_build_with_a_file_of_the_user_in_it_is_not_replaced(tmp_path):
    output = tmp_path / "parallelbench"
    build_dataset(output, TASKS[:1])
    (output / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds 'notes.txt'"):
        build_dataset(output, TASKS)


def test_working_directory_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="is where this command runs"):
        build_dataset(Path(), TASKS)


def test_file_in_place_of_the_output_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is a file"):
        build_dataset(tmp_path / "file", TASKS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"configs": ["waiting_line_cop"]}, "unknown task"),
        ({"configs": []}, "nothing to build"),
        ({"splits": ["dev"]}, "unknown split 'dev'"),
        ({"splits": ["train"], "rows": 0}, "rows is 0"),
        ({"file_format": "csv"}, "unknown format 'csv'"),
        ({"splits": ["train"], "names": "invented"}, "unknown names 'invented'"),
        ({"workers": 0}, "workers is 0"),
    ],
)
def test_wrong_arguments_write_nothing(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        build_dataset(tmp_path / "new" / "parallelbench", **({"configs": TASKS} | options))
    assert list(tmp_path.iterdir()) == []


def test_failure_in_the_middle_leaves_the_old_build(tmp_path):
    output = tmp_path / "parallelbench"
    build_dataset(output, TASKS)
    before = contents(tmp_path)

    def fail(config, split, rows):
        if config == TASKS[1]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_dataset(output, TASKS, file_format="parquet", on_file=fail)
    assert contents(tmp_path) == before


def test_bucket_that_cannot_be_filled_leaves_the_old_build(tmp_path):
    output = tmp_path / "parallelbench"
    build_dataset(output, TASKS[:1])
    before = contents(tmp_path)
    size = {"min_length": 2, "max_length": 2, "example_min_length": 2, "example_max_length": 2}
    small = replace(task_info("puzzle_latin_square_n4"), name="custom_small_square", **size)
    with pytest.raises(ValueError, match=r"custom_small_square: only \d+ rows"):
        build_dataset(output, [small], splits=["train"], rows=10**6)
    assert contents(tmp_path) == before


def test_killed_build_leaves_the_old_files_and_the_next_one_clears_up(tmp_path):
    output = tmp_path / "parallelbench"
    build_dataset(output, TASKS[:1])
    before = contents(output)
    command = [
        sys.executable,
        "generate_tasks.py",
        "build",
        "waiting_line_copy",
        "--split",
        "train",
        "--rows",
        "3000000",
    ]
    process = subprocess.Popen([*command, "--output", str(output)], cwd=ROOT, stderr=subprocess.DEVNULL)
    started = tmp_path / ".parallelbench.new" / "waiting_line_copy" / "train.jsonl"
    deadline = time.monotonic() + 30
    while not (started.exists() and started.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert started.exists()
    assert contents(output) == before
    build_dataset(output, TASKS[:1])
    assert [entry.name for entry in tmp_path.iterdir()] == ["parallelbench"]
    assert contents(output) == before


def test_build_killed_between_the_two_renames_is_restored(tmp_path):
    output = tmp_path / "parallelbench"
    build_dataset(output, TASKS[:1])
    before = contents(output)
    output.rename(tmp_path / ".parallelbench.old")

    def look(config, split, rows):
        assert contents(output) == before

    build_dataset(output, TASKS, on_file=look)
    assert [entry.name for entry in tmp_path.iterdir()] == ["parallelbench"]


def test_second_build_of_the_same_output_is_refused_while_the_first_runs(tmp_path):
    output = tmp_path / "parallelbench"

    def build_again(config, split, rows):
        with pytest.raises(ValueError, match="being built by another process"):
            build_dataset(output, TASKS)

    build_dataset(output, TASKS[:1], on_file=build_again)
    assert (output / "README.md").exists()


def load(output: Path, cache: Path, config: str) -> str:
    """Loads a config in a process of its own, offline, and returns its rows as JSON lines per split."""
    code = (
        "import datasets, sys; from hub_dataset.rows import canonical_line\n"
        "for split, rows in datasets.load_dataset(sys.argv[1], sys.argv[2]).items():\n"
        "    print(split, [canonical_line(row) for row in rows])"
    )
    environment = os.environ | {"HF_HOME": str(cache), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    command = [sys.executable, "-c", code, str(output), config]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("file_format", slow_except(["parquet"], ["jsonl", "parquet"]))
def test_load_dataset_gives_the_rows_and_never_stale_ones(tmp_path, file_format):
    from hub_dataset.rows import canonical_line

    output = tmp_path / "build" / "parallelbench"
    for count in (5, 8):
        build_dataset(output, TASKS, splits=["test", "train"], rows=count, file_format=file_format)
        expected = {"test": build_rows(TASKS[0]), "train": build_rows(TASKS[0], "train", count)}
        lines = [f"{split} {[canonical_line(row) for row in rows]}" for split, rows in expected.items()]
        assert load(output, tmp_path / "cache", TASKS[0]).splitlines() == lines


def test_all_default_tasks_load_with_one_schema(tmp_path):
    import datasets

    output = tmp_path / "parallelbench"
    build_dataset(output, default_task_names())
    loaded = [
        datasets.load_dataset(str(output), name, split="test", cache_dir=str(tmp_path / "cache"))
        for name in default_task_names()
    ]
    assert datasets.concatenate_datasets(loaded).num_rows == 11 * 100 + 108


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where nobody can make a file")
def test_place_where_nothing_can_be_made_is_not_said_to_be_in_use():
    with pytest.raises(OSError, match="No such file") as caught:
        build_dataset(Path("/proc/parallelbench"), ["waiting_line_copy"])
    assert caught.value.filename == "/proc/.parallelbench.lock"


@pytest.mark.parametrize("sign", [*"] ä日#~:$'&!\\", "%20", "{a,b}"])
def test_dataset_is_read_from_any_path_that_is_no_pattern(tmp_path, sign):
    import datasets

    output = tmp_path / f"a{sign}b" / "out"
    build_dataset(output, ["waiting_line_copy"])
    rows = datasets.load_dataset(str(output), "waiting_line_copy", split="test", cache_dir=str(tmp_path / "cache"))
    assert rows.num_rows == 100


@pytest.mark.parametrize("sign", ["*", "?", "[", "::"])
def test_path_that_datasets_takes_for_a_pattern_is_refused_before_anything_is_written(tmp_path, monkeypatch, sign):
    for output in (tmp_path / f"a{sign}b" / "out", tmp_path / f"out{sign}"):
        with pytest.raises(ValueError, match=re.escape(f"{output}: `datasets` takes a path with {sign!r}")):
            build_dataset(output, ["waiting_line_copy"])
    assert list(tmp_path.iterdir()) == []
    here = tmp_path / f"a{sign}b"
    here.mkdir()
    monkeypatch.chdir(here)
    with pytest.raises(ValueError, match=re.escape(repr(sign))):
        build_dataset(Path("out"), ["waiting_line_copy"])
    assert list(here.iterdir()) == []
