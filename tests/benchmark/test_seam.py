"""The seam of a model: one without logits, which answers from a table, runs through the whole command to a report."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import benchmark.models
from benchmark.cli import main
from benchmark.engine.worker import LogitsWorker, worker_for
from benchmark.models import IdealModel, load_model
from benchmark.models.interface import Answered, AnswerOptions, AnswersQuestions, BenchmarkModel, new_sample
from benchmark.protocol.method import Method
from benchmark.protocol.questions import Row, load_rows
from benchmark.store.runs import RunStore

TASKS = ("waiting_line_copy", "puzzle_sudoku_n4_12")


class TableModel:
    """Answers from a table: token by token as an autoregressive model does, and wrongly where the table has no row."""

    name = "table"
    has_weights = True
    concurrent = False
    answer_length = None

    def __init__(self, table: dict[str, str]) -> None:
        self.table = table
        self.released = False

    def record(self) -> dict[str, Any]:
        return {"rows": len(self.table)}

    def check_task(self, rows: Sequence[Row], max_new_tokens: int) -> str | None:
        missing = sum(row["id"] not in self.table for row in rows)
        return f"{missing} answers are not in the table" if missing else None

    def token_counter(self) -> None:
        return None

    def device_name(self) -> str:
        return "a table"

    def release(self) -> None:
        self.released = True

    def answers(
        self, questions: Sequence[Row], methods: Sequence[Method], options: AnswerOptions
    ) -> Iterator[Answered]:
        # Each question under all methods before the next: samples of several settings come in turns.
        for question in questions:
            for method in methods:
                options.check_stop()
                answer = self.table.get(question["id"], "no idea")
                tokens = min(len(answer), options.max_new_tokens)
                sample = new_sample(
                    question, answer, num_tokens=tokens, num_forward_passes=tokens, num_answer_tokens=tokens
                )
                yield Answered(method, [sample], 0.5)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> TableModel:
    """A model that `--model table` names."""
    rows = [row for task in TASKS for row in load_rows(task, 4)]
    model = TableModel({row["id"]: row["answer"] for row in rows if row["id"] != rows[0]["id"]})

    def load(name: str, options: Any = None) -> BenchmarkModel:
        return model if name == "table" else load_model(name, options)

    monkeypatch.setattr(benchmark.models, "load_model", load)
    return model


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_model_without_logits_runs_through_the_whole_command_to_a_report(table: TableModel, tmp_path: Path) -> None:
    tasks = [part for task in TASKS for part in ("--task", task)]
    methods = ["--scheduler", "confidence:k=1", "--scheduler", "random:k=1"]
    result = call("run", "--model", "table", "--model", "ideal", *tasks, *methods, "--samples", 4, "--output", tmp_path)
    assert result.exit_code == 0, result.output
    assert "table on waiting_line_copy: 1 answers are not in the table" in result.output
    assert "tokens/s with up to 1 row at a time" in result.output
    store = RunStore(tmp_path)
    assert store.read_settings()["models"][0] == {"name": "table", "rows": 7}
    assert store.read_settings()["devices"]["table"] == ["a table"]
    for task, scores in zip(TASKS, ([0.0, 1.0, 1.0, 1.0], [1.0] * 4), strict=True):
        for label in ("confidence(k=1)", "random(k=1)"):
            samples = store.read_samples("table", task, Method.parse(label))
            assert [sample["id"] for sample in samples] == [row["id"] for row in load_rows(task, 4)]
            assert [sample["scores"]["headline"] for sample in samples] == scores
            assert {sample["tokens_per_step"] for sample in samples} == {1.0}
            assert all(sample["num_forward_passes"] == sample["num_tokens"] > 1 for sample in samples)
    assert table.released
    points = json.loads((tmp_path / "summary.json").read_text())
    assert "87.5" in json.dumps(points)
    assert (tmp_path / "plots" / "waiting_line_copy.png").stat().st_size > 1000
    assert call("report", tmp_path).exit_code == 0


def test_a_model_without_logits_has_no_steps_to_watch(table: TableModel) -> None:
    result = call("watch", "--task", TASKS[0], "--model", "table")
    assert result.exit_code == 2
    assert result.output.count("\n") == 1
    assert "without the steps" in result.output


def test_a_model_answers_itself_where_it_can_and_a_worker_drives_its_logits_where_not(table: TableModel) -> None:
    assert worker_for(table) is table
    worker = worker_for(IdealModel())
    assert isinstance(worker, LogitsWorker)
    assert isinstance(worker, AnswersQuestions)
