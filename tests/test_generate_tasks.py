"""Tests of the data command line: what it prints, what it writes, and its exit codes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import generate_tasks
from hub_dataset import build_rows, checksum, config_names, task_info

ROOT = Path(generate_tasks.__file__).resolve().parent


def invoke(*arguments: str):
    return CliRunner().invoke(generate_tasks.main, arguments)


@pytest.fixture
def copy(tmp_path):
    """A copy of the data part of the project, to break."""
    shutil.copytree(ROOT / "hub_dataset", tmp_path / "hub_dataset", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "generate_tasks.py", tmp_path)
    return tmp_path


def run(folder: Path, *arguments: str):
    command = [sys.executable, str(folder / "generate_tasks.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_help_shows_the_commands_and_loads_nothing_that_takes_time():
    code = "import sys, generate_tasks\ntry: generate_tasks.main(['--help'])\nexcept SystemExit: pass\n"
    code += "print([name for name in ('yaml', 'urllib.request', 'evaluate', 'datasets') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
    assert all(command in result.stdout for command in ("build", "check", "list"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which refuses all that is written to it")
@pytest.mark.parametrize("command", [["list"], ["show", "waiting_line_copy"]])
def test_full_disk_is_one_line(command):
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, str(ROOT / "generate_tasks.py"), *command], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert result.returncode == 2
    assert result.stderr == "Error: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("command", ["build", "check"])
def test_help_of_a_command_has_an_example(command):
    assert f"python generate_tasks.py {command}" in invoke(command, "--help").output


def test_list_shows_every_task_with_its_size_and_scorer():
    lines = invoke("list").output.splitlines()
    assert [line.split()[0] for line in lines[1:]] == config_names()
    shown = {line.split()[0]: " ".join(line.split()) for line in lines}
    assert "waiting_line_sort waiting_line 100 3-6 32 list_match Sort" in shown["waiting_line_sort"]
    assert "puzzle_sudoku_n4_12 puzzle 108 4 64 sudoku" in shown["puzzle_sudoku_n4_12"]


def test_build_writes_arguments_and_options_and_takes_aliases(tmp_path):
    output = tmp_path / "parallelbench"
    result = invoke("build", "waiting_line/copy", "--task", "puzzle_sudoku_n4_12", "--output", str(output))
    assert result.exit_code == 0, result.output
    assert f"{output}: 208 rows, 2 tasks, test" in result.output
    assert {entry.name for entry in output.iterdir()} == {"README.md", "puzzle_sudoku_n4_12", "waiting_line_copy"}
    written = (output / "waiting_line_copy" / "test.jsonl").read_bytes()
    assert written.count(b"\n") == 100


def test_build_makes_train_of_any_size(tmp_path):
    output = tmp_path / "parallelbench"
    arguments = ["build", "waiting_line_sort", "--split", "train", "--rows", "1234", "--output", str(output)]
    assert invoke(*arguments).exit_code == 0
    assert (output / "waiting_line_sort" / "train.jsonl").read_bytes().count(b"\n") == 1234


def test_build_without_tasks_builds_all_of_them_below_build(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARALLELBENCH_LANGUAGETOOL_URL", raising=False)
    result = invoke("build")
    assert result.exit_code == 0
    public = [name for name in config_names() if task_info(name).from_hub]
    assert [line.split(" is left out: ")[0] for line in result.stderr.splitlines()] == public
    built = {entry.name for entry in (tmp_path / "build" / "parallelbench").iterdir()}
    assert built == {"README.md", *config_names()} - set(public)


def test_build_of_train_leaves_out_tasks_that_have_none(tmp_path):
    output = tmp_path / "parallelbench"
    arguments = ["build", "words_to_sentence/easy_n1", "waiting_line_sort", "--split", "train", "--rows", "5"]
    result = invoke(*arguments, "--output", str(output))
    assert result.exit_code == 0
    assert result.stderr == "words_to_sentence_easy_n1 has a test split only: train is left out\n"
    assert result.stdout == f"{output}: 5 rows, 1 tasks, train\n"
    result = invoke(*arguments, "--split", "test", "--output", str(output))
    assert result.stdout == f"{output}: 205 rows, 2 tasks, train, test\n"
    assert sorted(path.name for path in (output / "words_to_sentence_easy_n1").iterdir()) == ["test.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "waiting_line_cpy"], "Error: unknown task 'waiting_line_cpy'; did you mean 'waiting_line_copy'?"),
        (["check", "nothing"], "Error: unknown task 'nothing'"),
        (
            ["build", "words_to_sentence_easy_n1", "--split", "train"],
            "nothing can be built: words_to_sentence_easy_n1 has a test split only: train is left out",
        ),
        (["build", "--rows", "5"], "Error: --rows 5 has no effect on test"),
        (["build", "--split", "train", "--rows", "0"], "Invalid value for '--rows'"),
        (["build", "--split", "dev"], "Invalid value for '--split'"),
        (["build", "--format", "csv"], "Invalid value for '--format'"),
        (["build", "--output", "file"], "is a file; the output must be a directory"),
    ],
)
def test_wrong_input_exits_with_2_and_writes_nothing(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("waiting_line", "min_length: 3", "min_length: 400", "waiting_line.yaml: tasks.copy.min_length: 400 is above"),
        ("waiting_line", "max_length: 6", "max_length: 400", "waiting_line.yaml: tasks.copy.max_length: 400 is more"),
        ("puzzle", "blanks: 4", "blank: 4", "puzzle.yaml: tasks.sudoku_n4_12.blank: unknown key (value 4)"),
        ("case_study", "variants:", "variants: [", "case_study.yaml: is not YAML"),
    ],
)
def test_broken_task_file_is_one_line_with_exit_code_2(copy, file, old, new, message):
    path = copy / "hub_dataset" / "tasks" / f"{file}.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    result = run(copy, "build")
    assert result.returncode == 2
    assert result.stderr.startswith(f"Error: {message}")
    assert result.stderr.count("\n") == 1
    assert not (copy / "build").exists()
    assert run(copy, "list").stderr == result.stderr


@pytest.mark.slow
def test_check_accepts_sound_tasks_with_the_real_metric():
    result = subprocess.run(
        [sys.executable, str(ROOT / "generate_tasks.py"), "check", "waiting_line_shuffle", "puzzle_sudoku_n4_12"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "2 tasks are sound" in result.stdout


@pytest.mark.slow
def test_check_accepts_all_tasks_with_the_real_metric():
    result = run(ROOT, "check")
    assert result.returncode == 0, result.stderr


def test_check_reports_changed_data_and_exits_with_1(monkeypatch):
    monkeypatch.setattr("hub_dataset.checks.load_scorer", lambda metric: lambda predictions, references: [1.0] * 100)
    monkeypatch.setattr("hub_dataset.checks.read_checksums", lambda: {"waiting_line_copy": {"test": "0" * 64}})
    result = invoke("check", "waiting_line_copy")
    assert result.exit_code == 1
    assert f"waiting_line_copy: test: checksum is {checksum(build_rows('waiting_line_copy'))}" in result.output
    assert "1 problems in 1 tasks" in result.output


@pytest.mark.slow
def test_check_update_records_the_checksums_first(copy):
    recorded = copy / "hub_dataset" / "checksums.json"
    before = recorded.read_bytes()
    recorded.write_text("{}")
    shutil.copytree(ROOT / "metrics", copy / "metrics")
    assert run(copy, "check", "waiting_line_copy").returncode == 1
    assert recorded.read_text() == "{}"
    result = run(copy, "check", "--update", "waiting_line_copy")
    assert result.returncode == 0, result.stderr
    assert recorded.read_bytes() == before
