"""What a worker process tells of its work, and what its errors mean for the run."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import questions, save_reference

from benchmark.engine.portions import Counted, Died, Done, Failed, Notice, Ready, Work, WorkerSetup
from benchmark.engine.worker_process import WorkerProcess, message_of
from benchmark.models import ModelOptions, load_model
from benchmark.models.interface import Answered
from benchmark.models.memory import RowDoesNotFit
from benchmark.protocol.method import Method
from benchmark.protocol.user_code import UserCodeError

METHODS = [Method.parse("confidence:k=4"), Method.parse("klass:k=4,threshold=0.8")]
ROWS = questions(count=3)


def setup_of(*models: str) -> WorkerSetup:
    records = {name: load_model(name).record() for name in models}
    return WorkerSetup({name: name for name in models}, ModelOptions(), records, {}, str(Path.cwd()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_reference(tmp_path_factory.mktemp("model")))


def test_answers_and_counts_are_told_and_done_comes_last(folder: str) -> None:
    process = WorkerProcess(setup_of(folder))
    assert process.ready() == Ready({folder: "cpu"})
    told = list(process.answer(Work(folder, "task", ROWS, METHODS, 8)))
    assert isinstance(told[-1], Done)
    answered = [message for message in told if isinstance(message, Answered)]
    assert {one.method for one in answered} == set(METHODS)
    assert [sample["id"] for one in answered for sample in one.samples] == [row["id"] for row in ROWS] * 2
    states = sum(message.states for message in told if isinstance(message, Counted))
    assert states == sum(sample["num_forward_passes"] or 0 for one in answered for sample in one.samples)


def test_work_that_nobody_waits_for_any_more_ends(folder: str) -> None:
    import threading

    process = WorkerProcess(setup_of(folder))
    before = threading.active_count()
    messages: Any = process.answer(Work(folder, "task", ROWS, METHODS, 8))
    next(messages)
    messages.close()
    assert threading.active_count() == before
    assert isinstance(list(process.answer(Work(folder, "task", ROWS, METHODS[:1], 8)))[-1], Done)


def test_a_batch_that_is_halved_is_told(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from samplers import StateReader

    read = StateReader.read

    def full(self: Any, prompts: Any, *of_states: Any) -> Any:
        if len(prompts) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return read(self, prompts, *of_states)

    monkeypatch.setattr(StateReader, "read", full)
    told = list(WorkerProcess(setup_of(folder)).answer(Work(folder, "task", ROWS, METHODS[:1], 8)))
    assert "2 rows did not fit into memory; going on with 1 at a time" in str(
        [message.line for message in told if isinstance(message, Notice)]
    )
    assert isinstance(told[-1], Done)


def test_memory_that_is_too_small_for_a_row_is_the_workers_affair(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from samplers import StateReader

    def full(*arguments: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(StateReader, "read", full)
    *_, last = WorkerProcess(setup_of(folder)).answer(Work(folder, "task", ROWS, METHODS[:1], 8))
    assert isinstance(last, Died)
    assert "too small for a single row" in last.reason


WORK = Work("model", "task", ROWS, METHODS, 8)


@pytest.mark.parametrize(
    "error",
    [
        RowDoesNotFit("the memory of a GPU is too small for a single row"),
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: an illegal memory access was encountered\nmore"),
        RuntimeError("CUBLAS_STATUS_EXECUTION_FAILED when calling cublasGemmEx"),
    ],
    ids=repr,
)
def test_what_another_worker_may_do_better_ends_this_one_alone(error: Exception) -> None:
    found = message_of(error, WORK)
    assert isinstance(found, Died)
    assert "\n" not in found.reason
    assert found.reason.startswith(type(error).__name__)
    wrapped = UserCodeError("model on task: it failed")
    wrapped.__cause__ = error
    assert isinstance(message_of(wrapped, WORK), Died)


@pytest.mark.parametrize(
    ("error", "kind", "line"),
    [
        (ValueError("row 3: too long"), "value", "model on task: row 3: too long"),
        (UserCodeError("model on task: KeyError: 'a'"), "user", "model on task: KeyError: 'a'"),
        (OSError("no space left"), "value", "OSError: no space left"),
        (RuntimeError("shapes differ"), "error", "RuntimeError: shapes differ"),
    ],
    ids=repr,
)
def test_what_no_worker_can_do_ends_the_run(error: Exception, kind: str, line: str) -> None:
    found = message_of(error, WORK)
    assert isinstance(found, Failed)
    assert found.kind == kind
    assert found.line.strip().endswith(line)


def test_an_error_in_code_of_ones_own_is_told_with_its_place(own_modules: Path) -> None:
    Path("breaking.py").write_text(
        "from samplers import ConfidenceScheduler\n\n\nclass Breaking(ConfidenceScheduler):\n"
        "    def step(self, *arguments, **options):\n        raise KeyError('nothing')\n"
    )
    name = "own_factory:tiny(size=6)"
    methods = [Method.parse("breaking:Breaking(k=4)")]
    work = Work(name, "waiting_line_copy", questions("waiting_line_copy", 2), methods, 8)
    *_, last = WorkerProcess(setup_of(name)).answer(work)
    sys.modules.pop("breaking", None)
    assert last == Failed(f"breaking.py, line 6: {name} on waiting_line_copy: KeyError: 'nothing'", "user")


def test_models_with_weights_follow_each_other(folder: str, tmp_path: Path) -> None:
    other = str(save_reference(tmp_path / "other"))
    process = WorkerProcess(setup_of(folder, other))
    for name in (folder, other, folder):
        process._models[name].__dict__["concurrent"] = False  # as on a GPU
        assert isinstance(list(process.answer(Work(name, "task", ROWS[:1], METHODS[:1], 8)))[-1], Done)
        loaded = [known for known, model in process._models.items() if model._model is not None]  # type: ignore[attr-defined]
        assert loaded == [name]
