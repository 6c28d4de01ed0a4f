"""Tests of the commands that show, install and publish data, and of what `build` offers for training."""

import json

import pytest
from click.testing import CliRunner

import generate_tasks
from hub_dataset import build_rows, config_names, task_info
from hub_dataset.showing import plain_text


def invoke(*arguments: str):
    return CliRunner().invoke(generate_tasks.main, arguments)


@pytest.mark.parametrize("command", ["show", "install", "publish"])
def test_help_of_a_command_has_an_example(command):
    assert f"python generate_tasks.py {command}" in invoke(command, "--help").output


def test_show_writes_plain_rows_into_a_pipe():
    result = invoke("show", "waiting_line/copy", "--rows", "2", "--split", "train")
    assert result.exit_code == 0, result.output
    assert result.output == "\n\n".join(map(plain_text, build_rows("waiting_line_copy", "train", 2))) + "\n"


def test_build_for_fine_tuning_makes_train_unless_told_otherwise(tmp_path):
    output = tmp_path / "sft"
    result = invoke("build", "waiting_line_copy", "--format", "sft", "--rows", "7", "--output", str(output))
    assert result.exit_code == 0, result.output
    assert f"{output}: 7 rows, 1 tasks, train" in result.output
    lines = (output / "waiting_line_copy" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert [list(json.loads(line)) for line in lines] == [["messages"]] * 7


def test_build_takes_generated_names_and_workers(tmp_path):
    output = tmp_path / "parallelbench"
    arguments = ["waiting_line_copy", "waiting_line_sort", "--split", "train", "--rows", "5", "--names", "generated"]
    result = invoke("build", *arguments, "--workers", "2", "--output", str(output))
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (output / "waiting_line_sort" / "train.jsonl").read_text().splitlines()]
    assert rows == build_rows("waiting_line_sort", "train", 5, names="generated")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "--names", "generated"], "Error: --names generated has no effect on test"),
        (
            ["build", "puzzle_sudoku_n4_12", "--split", "train", "--names", "generated"],
            "Error: --names generated has no effect on these tasks: none of them is about people",
        ),
        (["build", "--format", "sft", "--split", "test"], "Error: the format sft is for training"),
        (["build", "--workers", "0"], "Invalid value for '--workers'"),
        (["show", "waiting_line_cpy"], "Error: unknown task 'waiting_line_cpy'; did you mean 'waiting_line_copy'?"),
        (["show", "waiting_line_copy", "--rows", "101"], "Error: the test split of waiting_line_copy has 100 rows"),
        (["install", "--rows", "5"], "Error: --rows 5 has no effect on test"),
        (["install", "nothing"], "Error: unknown task 'nothing'"),
        (["publish", "--dry-run", "--repo", "parallelbench"], "Error: 'parallelbench' is not the name of a repository"),
    ],
)
def test_wrong_input_is_one_line_with_exit_code_2(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_rows_without_a_task_says_how_many_that_makes(tmp_path, monkeypatch):
    monkeypatch.setattr("hub_dataset.writing.build_dataset", lambda *arguments, **settings: 0)
    tasks = [task_info(name) for name in config_names()]
    trained = [task for task in tasks if "train" in task.splits]
    output = ["--output", str(tmp_path / "new")]
    result = invoke("build", "--split", "train", "--rows", "20000", *output)
    assert result.stderr == f"no task is named: all {len(trained)} are built, {len(trained) * 20000:,} rows\n"
    result = invoke("build", "--split", "train", "--split", "test", "--rows", "3", *output)
    assert f"{len(trained) * 3 + sum(task.rows for task in tasks):,} rows" in result.stderr
    assert (
        invoke(
            "build", "waiting_line_copy", "--split", "train", "--rows", "3", "--output", str(tmp_path / "new")
        ).stderr
        == ""
    )


def test_install_ends_in_how_the_other_split_and_a_machine_without_a_network_go(tmp_path, monkeypatch):
    def installed(tasks, *, on_config, **settings):
        for task in tasks:
            on_config(task.name, 5)
        return 5 * len(tasks)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hub_dataset.installing.install", installed)
    test_alone = invoke("install", "waiting_line_copy").output
    assert "installed 5 rows (test), 1 tasks" in test_alone
    assert "--split test --split train --rows" in test_alone
    assert "HF_HUB_OFFLINE=1" in test_alone
    both = invoke("install", "waiting_line_copy", "--split", "test", "--split", "train").output
    assert "installed 5 rows (test, train)" in both
    assert "--rows" not in both
