"""The benchmark from Python: the table of a run, the run on disk, and silence."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import own_code
import pytest
from support import call

import benchmark
from benchmark.engine.threads import Terminated
from benchmark.protocol.method import Method
from benchmark.store.runs import RunStore

TASK = "waiting_line_copy"


@pytest.fixture
def made(own_modules: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A model and its tokenizer, as objects."""
    monkeypatch.syspath_prepend(own_modules)
    import own_factory

    model, tokenizer = own_factory.tiny(size=8)
    return {"model": model, "tokenizer": tokenizer}


def test_a_run_returns_a_table_prints_nothing_and_leaves_nothing(
    made: dict[str, Any], own_modules: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    methods = [Method.of("confidence", {"k": 8}), "random:k=4"]
    table = benchmark.run(**made, tasks=TASK, methods=methods, samples=4)
    assert list(table["method"]) == ["confidence(k=8)", "random(k=4)"]
    assert list(table["tokens_per_step"]) == [8.0, 4.0]
    assert set(table["model"]) == {"TinyNet"}
    assert {"headline", "low", "high", "score_strict", "samples"} < set(table.columns)
    assert capfd.readouterr() == ("", "")
    assert {path.stem for path in own_modules.iterdir()} == set(own_code.MODULES)


def test_a_run_with_an_output_is_that_of_the_command(made: dict[str, Any], own_modules: Path) -> None:
    asked: dict[str, Any] = {"tasks": [TASK], "methods": "confidence:k=8", "samples": 4}
    table = benchmark.run(model="ideal", output="out", seed=3, **asked)
    arguments = ["--task", TASK, "--scheduler", "confidence:k=8", "--samples", "4", "--seed", "3", "--output", "out"]
    result = call("run", "--model", "ideal", *arguments)
    assert "all 1 settings are on disk" in result.output
    assert (own_modules / "out" / "summary.csv").read_text().count("\n") == len(table) + 1
    assert (own_modules / "out" / "plots" / "mean.png").exists()


def test_an_object_and_its_factory_decode_the_same(made: dict[str, Any], without_report: None) -> None:
    # Named alike, because the name of a model is part of no noise but of the place of its samples.
    asked: dict[str, Any] = {"tasks": TASK, "methods": "random:k=8", "samples": 4, "output": "objects"}
    benchmark.run(**made, name="mine", **asked)
    arguments = ["--task", TASK, "--scheduler", "random:k=8", "--samples", "4", "--output", "named"]
    assert call("run", "--model", "own_factory:tiny(size=8)", *arguments).exit_code == 0
    of_objects = RunStore("objects").read_samples("mine", TASK, Method.parse("random(k=8)"))
    named = RunStore("named").read_samples("own_factory:tiny(size=8)", TASK, Method.parse("random(k=8)"))
    for sample in (*of_objects, *named):
        del sample["seconds"]
    assert of_objects == named


def test_other_weights_in_the_same_output_are_run_again(made: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"tasks": TASK, "methods": "confidence:k=8", "samples": 2, "output": "out"}
    benchmark.run(**made, **asked)
    key = "TinyNet", TASK, Method.parse("confidence:k=8")
    before = RunStore("out").find_file(*key)
    made["model"].output.bias.data += 1
    benchmark.run(**made, **asked)
    after = RunStore("out").find_file(*key)
    assert before is not None
    assert after is not None
    assert before.origin["model"] != after.origin["model"]


def test_progress_prints_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark.run(model="ideal", tasks=TASK, methods="confidence:k=8", samples=2, progress=True)
    assert "settings are on disk" in capsys.readouterr().out


def test_what_does_not_go_together_is_refused(made: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="leave tokenizer out"):
        benchmark.run(model="ideal", tokenizer=made["tokenizer"])
    with pytest.raises(ValueError, match="TinyNet as model needs a tokenizer"):
        benchmark.run(model=made["model"])
    with pytest.raises(TypeError, match="speed"):
        benchmark.run(model="ideal", speed=2)
    with pytest.raises(AttributeError, match="walk"):
        _ = benchmark.walk  # type: ignore[attr-defined]


def test_an_error_of_the_users_scheduler_keeps_its_cause(own_modules: Path) -> None:
    with pytest.raises(ValueError, match="forgotten") as failure:
        benchmark.run(model="ideal", tasks=TASK, methods="own_rule:Forgetful(k=1)", samples=2)
    assert isinstance(failure.value.__cause__, KeyError)


def test_a_termination_is_told_from_ctrl_c(made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def terminated(*_: Any, **__: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.5)
        raise AssertionError("the run goes on")

    monkeypatch.setattr(type(made["model"]), "forward", terminated)
    with pytest.raises(Terminated):
        benchmark.run(**made, tasks=TASK, methods="confidence:k=8", samples=2)


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, benchmark; print([n for n in ('torch', 'pandas', 'click', 'numpy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_object_cannot_be_handed_to_workers(made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    # Whether Ray is installed does not matter here.
    monkeypatch.setattr("benchmark.engine.placement.find_spec", lambda name: object())
    with pytest.raises(ValueError, match="models given as objects, answer in this process alone"):
        benchmark.run(**made, tasks=TASK, methods="random:k=4", samples=1, workers=2)


@pytest.mark.parametrize("samples", [0, -3])
def test_fewer_than_one_question_is_refused(samples: int) -> None:
    with pytest.raises(ValueError, match=f"samples is {samples}.*at least 1"):
        benchmark.run(model="ideal", tasks="waiting_line_copy", methods="random:k=8", samples=samples)


def test_a_scheduler_in_place_of_its_text_is_refused() -> None:
    from samplers import EntropyScheduler

    for given, what in ((EntropyScheduler, "the class"), ([EntropyScheduler(k=2)], "an object of class")):
        with pytest.raises(ValueError, match=rf"{what} EntropyScheduler.*--scheduler"):
            benchmark.run(model="ideal", tasks="waiting_line_copy", methods=given, samples=1)
