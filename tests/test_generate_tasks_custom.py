"""Tests of the data command line on a user's own tasks and on the original data, the README's guide first of all."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import ROOT, SAMPLES

import generate_tasks

GUIDE = (ROOT / "README.md").read_text(encoding="utf-8").split("## Your own tasks\n")[1].split("\n## ")[0]
ORIGINAL = SAMPLES / "original"
GOOD = """
category: custom
config_name: my_{task}
settings: {min_length: 2, max_length: 3, shots: 0, rows: 6, max_new_tokens: 32}
tasks:
  sums: {type: cumulative_sum, max_number: 9}
  copy: {type: copy, pool: [fig, lime, kiwi, plum]}
"""


def blocks(language):
    """The fenced blocks of the guide in one language; "" is that of commands."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, flags=re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


def invoke(*arguments):
    return CliRunner().invoke(generate_tasks.main, arguments)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_tasks.yaml").write_text(GOOD)
    return tmp_path


@pytest.mark.slow
def test_guide_works_as_it_stands(tmp_path):
    """The README's YAML, commands and Python, copied into a folder that looks like the project's."""
    for name in ("generate_tasks.py", "metrics"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (yaml,), (commands,), (python,) = blocks("yaml"), blocks(""), blocks("python")
    (tmp_path / "my_tasks.yaml").write_text(yaml, encoding="utf-8")
    (tmp_path / "score.py").write_text(python, encoding="utf-8")
    environment = os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1"}
    assert [command.split()[2] for command in commands.splitlines()] == ["list", "build", "check", "show"]
    for command in [*commands.splitlines(), ".venv/bin/python score.py"]:
        result = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"{command}\n{result.stderr}"
    assert result.stdout.splitlines()[-1] == "100.0"
    assert len(list((tmp_path / "build" / "my_tasks").glob("*/test.jsonl"))) == 5


def test_guide_names_every_type_that_has_a_wording():
    from hub_dataset.generators import POSITION_TYPES
    from hub_dataset.group_files import WORDINGS
    from hub_dataset.yaml_files import read_mapping

    named = set(re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in GUIDE.splitlines() if line[:1] == "|")))
    types = {name.removesuffix("_index").removesuffix("_random") for name in read_mapping(WORDINGS)}
    assert set(POSITION_TYPES) < types
    assert types <= named


def test_list_build_and_check_take_a_file_of_own_tasks(folder):
    listed = invoke("list", "--config", "my_tasks.yaml").output.splitlines()
    assert [line.split()[0] for line in listed[1:]] == ["my_sums", "my_copy"]
    built = invoke("build", "--config", "my_tasks.yaml")
    assert built.exit_code == 0, built.output
    assert "build/my_tasks: 12 rows, 2 tasks, test" in built.output
    paths = sorted(path.relative_to(folder).as_posix() for path in (folder / "build").rglob("*.jsonl"))
    assert paths == ["build/my_tasks/my_copy/test.jsonl", "build/my_tasks/my_sums/test.jsonl"]
    checked = invoke("check", "my_sums", "--config", "my_tasks.yaml")
    assert checked.exit_code == 0, checked.output
    assert "1 tasks are sound" in checked.output


def test_own_tasks_are_built_in_place_of_an_earlier_build_of_them(folder):
    for _ in range(2):
        result = invoke("build", "my_copy", "--config", "my_tasks.yaml", "--output", "mine", "--format", "parquet")
        assert result.exit_code == 0, result.output
    assert (folder / "mine" / "my_copy" / "test.parquet").is_file()


def test_own_tasks_build_the_same_with_workers(folder):
    arguments = ["build", "--config", "my_tasks.yaml", "--output"]
    assert invoke(*arguments, "one").exit_code == 0
    assert invoke(*arguments, "two", "--workers", "2").exit_code == 0
    contents = [
        {path.relative_to(folder / name): path.read_bytes() for path in (folder / name).rglob("*") if path.is_file()}
        for name in ("one", "two")
    ]
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rows: 6", "row: 6", "my_tasks.yaml: tasks.sums.row: unknown key (value 6); did you mean 'rows'?"),
        ("rows: 6", "rows: 6, rows: 7", "my_tasks.yaml: rows: is given twice; the second, in line 4, is 7"),
        ("rows: 6", "rows: 25", "my_tasks.yaml: tasks.copy.rows: 25: my_copy: only 24 rows of test can be filled"),
        ("min_length: 2, max_length: 3", "min_length: 5, max_length: 5", "tasks.copy.min_length: 5 is more than the"),
        ("tasks:", "tasks: [", "my_tasks.yaml: is not YAML"),
        ("pool: [fig, lime,", "pool: [fig, fig,", "my_tasks.yaml: tasks.copy.pool: 'fig' is given twice"),
        ("my_{task}", "waiting_line_{task}", "config_name: 'waiting_line_copy' is the name of a built-in task"),
    ],
)
def test_wrong_file_is_one_line_with_exit_code_2_and_nothing_is_written(folder, old, new, message):
    assert old in GOOD
    (folder / "my_tasks.yaml").write_text(GOOD.replace(old, new))
    result = invoke("build", "--config", "my_tasks.yaml")
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.startswith("Error: my_tasks.yaml: ")
    assert result.output.count("\n") == 1
    assert not list((folder / "build").rglob("*") if (folder / "build").exists() else ())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "--config", "none.yaml"], "Error: none.yaml: No such file or directory"),
        (["list", "--config", "none.yaml"], "Error: none.yaml: No such file or directory"),
        (["check", "--config", "."], "Is a directory"),
        (["build", "my_sum", "--config", "my_tasks.yaml"], "unknown task 'my_sum'; did you mean 'my_sums'?"),
        (["build", "waiting_line_copy", "--config", "my_tasks.yaml"], "unknown task 'waiting_line_copy'; it has"),
        (["check", "--update", "--config", "my_tasks.yaml"], "--update records the benchmark's own tasks"),
        (["import", "nothing-here", "--output", "x"], "nothing-here: is neither a folder nor a Hub dataset"),
        (["import", ".", "--output", "x"], ".: holds no ParallelBench data"),
        (["import", str(ORIGINAL), "--output", "my_tasks.yaml"], "is a file; the output must be a directory"),
        (["import", str(ORIGINAL)], "Missing option '--output'"),
    ],
)
def test_wrong_arguments_exit_with_2_and_write_nothing(folder, arguments, message):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert [entry.name for entry in folder.iterdir()] == ["my_tasks.yaml"]


def test_import_writes_the_original_rows(folder):
    result = invoke("import", str(ORIGINAL), "--output", "original")
    assert result.exit_code == 0, result.output
    assert "original: 19 rows, 12 tasks" in result.output
    row = json.loads((folder / "original" / "original_waiting_line_copy" / "test.jsonl").read_text().splitlines()[0])
    assert row["id"] == "original_waiting_line_copy-test-0000"


def test_import_reports_unknown_rows_and_leaves_them_out_on_demand(folder):
    source = folder / "later"
    source.mkdir()
    (original,) = (ORIGINAL / "later_edition").glob("*.jsonl")
    path = source / original.name
    path.write_text(original.read_text() + "{}\n" * 25)
    refused = invoke("import", "later", "--output", "original")
    assert refused.exit_code == 2
    lines = refused.output.splitlines()
    assert lines[0] == f"{Path('later') / path.name}:3: messages is missing"
    assert lines[20] == "... and 5 more"
    assert lines[21].startswith("Error: 25 rows or tasks are of an unknown form; nothing is written")
    assert not (folder / "original").exists()
    skipped = invoke("import", "later", "--output", "original", "--skip-unknown")
    assert skipped.exit_code == 0, skipped.output
    assert "original: 2 rows, 1 tasks, 25 rows or tasks left out" in skipped.output


def test_check_says_how_many_tokens_answers_take_and_which_do_not_fit(folder):
    (folder / "my_tasks.yaml").write_text(GOOD.replace("max_new_tokens: 32", "max_new_tokens: 9"))
    result = invoke("check", "--config", "my_tasks.yaml", "--tokenizer", str(ROOT / "hub_model"))
    assert result.exit_code == 1
    counted = [line for line in result.stdout.splitlines() if "on average" in line]
    assert [line.split(":")[0] for line in counted] == ["my_sums", "my_copy"]
    assert "an item takes" in counted[1]
    (problem,) = [line for line in result.stderr.splitlines() if line.startswith("my_copy")]
    assert re.search(r"\d of 6 right answers do not fit into 9 new tokens: at most [\d.]+ % can be right", problem)

    (folder / "my_tasks.yaml").write_text(GOOD)
    result = invoke("check", "--config", "my_tasks.yaml", "--tokenizer", str(ROOT / "hub_model"))
    assert result.exit_code == 0, result.output


def test_check_refuses_a_directory_without_tokenizer_in_one_line(folder):
    result = invoke("check", "--config", "my_tasks.yaml", "--tokenizer", str(folder))
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert str(folder) in result.stderr


def test_list_without_room_for_its_items_is_refused_before_it_is_built(folder):
    (folder / "my_tasks.yaml").write_text(GOOD.replace("max_new_tokens: 32", "max_new_tokens: 3"))
    result = invoke("build", "--config", "my_tasks.yaml")
    assert result.exit_code == 2
    assert "my_tasks.yaml: tasks.copy.max_new_tokens: 3 tokens cannot hold a list of 3 items" in result.stderr
    assert not (folder / "build").exists()
