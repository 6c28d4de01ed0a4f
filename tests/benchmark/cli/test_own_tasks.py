"""Runs of tasks of one's own, from a YAML file and from directories: what they write, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import OWN_TASKS, call

import benchmark
from benchmark.analysis.summary import summarise
from benchmark.report.theory_plots import panels
from benchmark.store.runs import RunStore

ROW = {
    "prompt": "Shuffle: a, b, c",
    "answer": '["b", "a", "c"]',
    "reference": '{"scorer": "list_shuffle", "input": ["a", "b", "c"]}',
    "max_new_tokens": 16,
}


@pytest.fixture(autouse=True)
def here(elsewhere: Path, without_report: None) -> Path:
    (elsewhere / "my_tasks.yaml").write_text(OWN_TASKS, encoding="utf-8")
    (elsewhere / "mine").mkdir()
    (elsewhere / "mine" / "test.jsonl").write_text(json.dumps(ROW), encoding="utf-8")
    return elsewhere


def settings_of(directory: str) -> dict[str, Any]:
    return RunStore(directory).read_settings()


def test_a_run_of_own_tasks_beside_a_built_in_one() -> None:
    tasks = ["--task", "my_tools", "--task", "mine", "--task", "waiting_line_copy"]
    run = ["run", "--config", "my_tasks.yaml", *tasks, "--model", "ideal", "--scheduler", "random:k=[1,8]"]
    result = call(*run, "--samples", "4", "--output", "out")
    assert result.exit_code == 0, result.output
    settings = settings_of("out")
    assert settings["groups"][0]["tasks"] == ["my_tools", "mine", "waiting_line_copy"]
    assert settings["data"]["sources"]["my_tools"]["config"] == "my_tasks.yaml"
    assert settings["data"]["sources"]["mine"]["directory"] == "mine"
    assert "waiting_line_copy" not in settings["data"]["sources"]
    summary = summarise(RunStore("out"))
    assert {task for _, task, _ in summary.points} == {"my_tools", "mine", "waiting_line_copy"}
    (panel,) = panels(summary, "my_tools")
    assert [form.greedy for form in panel.forms] == [False, True]
    again = call(*run, "--samples", "4", "--output", "out")
    assert "on disk" in again.output


def test_without_task_the_files_tasks_are_run_and_the_ideal_model_leaves_out_what_it_cannot_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = call("run", "--config", "my_tasks.yaml", "--dry-run", "--no-probe")
    assert result.exit_code == 0
    assert "my_tools and 1 more" in result.output
    refused = call("run", "--config", "my_tasks.yaml", "--model", "ideal", "--output", "out")
    assert refused.exit_code == 2
    assert "ideal on my_sums" in refused.output

    class Checked(Exception):
        pass

    def stop(models: Any, rows: Any, settings: Any, *more: Any) -> None:
        asked.update({task: [model.name for model in models if settings.methods_of(model.name, task)] for task in rows})
        raise Checked

    asked: dict[str, list[str]] = {}
    monkeypatch.setattr("benchmark.cli.run.check_models", stop)
    monkeypatch.setattr("benchmark.models.reference.is_here", lambda: True)
    result = call("run", "--config", "my_tasks.yaml", "--output", "out")
    assert isinstance(result.exception, Checked)
    assert len(asked["my_tools"]) == 2
    assert asked["my_sums"] == ["reference"]
    assert "left out on my_sums" in result.output


def test_another_question_is_decoded_again() -> None:
    run = ["run", "--task", "mine", "--model", "ideal", "--scheduler", "random:k=8", "--output", "out"]
    assert call(*run).exit_code == 0
    other = {**ROW, "reference": ROW["reference"].replace('"c"', '"d"'), "answer": '["b", "a", "d"]'}
    Path("mine/test.jsonl").write_text(json.dumps(other), encoding="utf-8")
    assert call(*run).exit_code == 0
    (file,) = Path("out/samples/ideal/mine").glob("*.jsonl")
    assert '\\"d\\"' in file.read_text(encoding="utf-8")


def test_one_question_is_watched() -> None:
    result = call("watch", "--config", "my_tasks.yaml", "--task", "my_tools", "--delay", "0")
    assert result.exit_code == 0, result.output
    result = call("watch", "--task", "./mine", "--delay", "0", "--scheduler", "random:k=4")
    assert "mine, row 0" in result.output
    assert "tokens per step" in result.output


def test_python_takes_the_same_names() -> None:
    table = benchmark.run(model="ideal", config="my_tasks.yaml", tasks=["my_tools", "mine"], methods="random:k=4")
    assert sorted(set(table["task"]) - {"mean"}) == ["mine", "my_tools"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--config", "none.yaml"], ["none.yaml"]),
        (["--config", "my_tasks.yaml", "--task", "my_tool"], ["my_tool", "my_tools"]),
        (["--task", "./broken"], ["broken", "input", "list_shuffle"]),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(arguments: list[str], words: list[str]) -> None:
    Path("broken").mkdir()
    row = {**ROW, "task": "broken", "reference": '{"scorer": "list_shuffle"}'}
    Path("broken/test.jsonl").write_text(json.dumps(row), encoding="utf-8")
    result = call("run", *arguments, "--model", "ideal", "--scheduler", "random:k=1", "--output", "out")
    assert result.exit_code == 2
    assert len(result.output.splitlines()) == 1
    assert all(word in result.output for word in words), result.output
    assert not Path("out").exists()
