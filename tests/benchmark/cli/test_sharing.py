"""Runs of one results folder: what one has the others take, what changed is decoded again, and two at a time."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, call

from benchmark.protocol.method import Method
from benchmark.protocol.settings import settings_groups, settings_keys
from benchmark.store.runs import RunStore

TASK = "waiting_line_shuffle"
RULE = """
from samplers import ConfidenceScheduler


class MyRule(ConfidenceScheduler):
    def __init__(self, k: int = 4, temperature: float = 0.0):
        super().__init__(k=k, temperature=temperature)
"""


@pytest.fixture(autouse=True)
def decoded(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """Every (id, method, seed) that is decoded from now on; without plots, which take longer than these runs."""
    from benchmark.engine.worker import LogitsWorker

    seen: list[tuple[str, str, str]] = []
    answers = LogitsWorker.answers

    def counted(self: Any, questions: Any, methods: Any, options: Any) -> Any:
        for answered in answers(self, questions, methods, options):
            seen.extend((sample["id"][-4:], str(answered.method), str(options.seed)) for sample in answered.samples)
            yield answered

    monkeypatch.setattr(LogitsWorker, "answers", counted)
    monkeypatch.setattr("benchmark.cli.run.show_report", lambda directory, published: None)
    return seen


def run(*arguments: str, samples: int | None = 4, methods: tuple[str, ...] = ("random:k=8",)) -> str:
    chosen = [part for method in methods for part in ("--scheduler", method)]
    count = [] if samples is None else ["--samples", str(samples)]
    result = call("run", "--model", "ideal", "--task", TASK, *count, *chosen, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_what_is_taken_has_the_hardware_that_it_was_decoded_on(decoded: list[Any]) -> None:
    run()
    (first,) = Path("results").iterdir()
    store = RunStore(first)
    store.write_settings({**store.read_settings(), "devices": {"ideal": ["a quantum computer"]}})
    run(samples=2)
    assert len(decoded) == 4
    (second,) = (path for path in Path("results").iterdir() if path != first)
    assert RunStore(second).read_settings()["devices"] == {"ideal": ["a quantum computer"]}


def test_a_run_takes_what_another_one_has(decoded: list[Any]) -> None:
    run()
    assert len(decoded) == 4
    told = run(methods=("random:k=8", "margin:k=8"))
    assert "1 of 2 settings are taken from results/ideal-1tasks-1methods-" in told
    assert [method for _, method, _ in decoded[4:]] == ["margin(k=8)"] * 4
    assert len(list(Path("results").iterdir())) == 2


def test_more_samples_are_those_that_are_missing(decoded: list[Any]) -> None:
    run(samples=3)
    run(samples=5)
    assert [name for name, _, _ in decoded] == ["0000", "0001", "0002", "0003", "0004"]
    run("--output", "elsewhere/run", samples=5)
    assert len(decoded) == 10


def test_what_was_put_together_is_what_one_run_decodes(decoded: list[Any]) -> None:
    key = "ideal", TASK, Method.parse("random(k=8)")
    run("--output", "apart/one", samples=3)
    run("--output", "apart/two", samples=8)
    run("--output", "whole/one", samples=8)
    assert len(decoded) == 3 + 5 + 8
    assert answers(RunStore("apart/two"), key) == answers(RunStore("whole/one"), key)


def test_a_run_grows_in_its_directory(decoded: list[Any]) -> None:
    run("--output", "mine/run", samples=2)
    run("--output", "mine/run", samples=3)
    run("--output", "mine/run", "--task", "waiting_line_copy", samples=3)
    assert len(decoded) == 6
    run("--output", "mine/run", "--task", "waiting_line_copy", "--seeds", "2", samples=3)
    assert len(decoded) == 12
    assert RunStore("mine/run").read_settings()["seeds"] == [0, 1]
    smaller = call("run", "--model", "ideal", "--task", TASK, "--scheduler", "random:k=8", "--output", "mine/run")
    assert "other tasks" in smaller.stderr


def test_fresh_takes_nothing(decoded: list[Any]) -> None:
    run()
    run("--fresh")
    run("--fresh", "--output", "results/another")
    assert len(decoded) == 12


def test_a_rule_that_was_edited_is_decoded_again(decoded: list[Any], elsewhere: Path) -> None:
    Path("edited_rule.py").write_text(RULE)
    method = "edited_rule:MyRule(k=8)"
    run(methods=(method, "random:k=8"))
    assert "all 2 settings are on disk" in run(methods=(method, "random:k=8"))
    assert len(decoded) == 8
    sys.modules.pop("edited_rule")
    Path("edited_rule.py").write_text(RULE + "\n# another rule\n")
    told = run(methods=(method, "random:k=8"))
    assert "the source of edited_rule has changed (" in told
    assert "1 of 2 settings are run again" in told
    assert [name for _, name, _ in decoded[8:]] == ["edited_rule:MyRule(k=8)"] * 4
    assert len(list(Path("results").iterdir())) == 1


def test_old_samples_stay_until_the_new_ones_are_complete(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("kept_rule.py").write_text(RULE)
    method = "kept_rule:MyRule(k=8)"
    run("--output", "out/run", methods=(method,))
    path = RunStore("out/run").samples_path("ideal", TASK, Method.parse(method))
    before = path.read_bytes()
    sys.modules.pop("kept_rule")
    Path("kept_rule.py").write_text(RULE + "\n# another rule\n")
    with monkeypatch.context() as patch:
        patch.setattr("benchmark.engine.collecting.JobAnswers._finish", interrupted)
        stopped = call(*asked("out/run", method))
        assert stopped.exit_code == 130
    assert path.read_bytes() == before
    # They are of another rule, so a report does not show them.
    assert RunStore("out/run").find_samples("ideal", TASK, Method.parse(method)) is None


def answers(store: RunStore, key: tuple[str, str, Method]) -> list[dict[str, Any]]:
    """The samples without what they say of the machine."""
    of_machine = ("seconds", "shared")
    return [{name: row[name] for name in row if name not in of_machine} for row in store.read_samples(*key)]


def interrupted(*arguments: Any) -> None:
    raise KeyboardInterrupt


def asked(output: str, *methods: str, samples: int = 4) -> list[str]:
    chosen = [part for method in methods for part in ("--scheduler", method)]
    return ["run", "--model", "ideal", "--task", TASK, "--samples", str(samples), *chosen, "--output", output]


def test_answers_of_a_setting_that_was_stopped_are_kept(decoded: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for = [*asked("out/run", "random:k=8", samples=6), "--batch-size", "2"]
    with monkeypatch.context() as patch:
        patch.setattr("benchmark.loggers.terminal.RunProgress.samples_done", stop_after(2))
        assert call(*asked_for).exit_code == 130
    journal = RunStore("out/run").kept_answers("ideal", TASK, Method.parse("random(k=8)"))
    assert [sample["id"][-4:] for sample in journal] == ["0000", "0001"]
    seen = len(decoded)
    assert call(*asked_for).exit_code == 0
    assert [name for name, _, _ in decoded[seen:]] == ["0002", "0003", "0004", "0005"]
    assert call(*asked("whole/run", "random:k=8", samples=6)).exit_code == 0
    key = "ideal", TASK, Method.parse("random(k=8)")
    assert answers(RunStore("out/run"), key) == answers(RunStore("whole/run"), key)
    assert not list(Path("out").rglob("*.part"))


def stop_after(batches: int) -> Callable[..., None]:
    done: list[int] = []

    def stop(*arguments: Any) -> None:
        done.append(1)
        if len(done) == batches:
            raise KeyboardInterrupt

    return stop


def test_another_metric_scores_anew_and_decodes_nothing(decoded: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    before = next(iter(Path("results").rglob("*.seed0.jsonl"))).read_bytes()
    monkeypatch.setattr("benchmark.engine.runner.metric_version", lambda: "another")
    run()
    assert len(decoded) == 4
    about = json.loads(next(iter(Path("results").rglob("*.seed0.json"))).read_text())
    assert about["metric"] == "another"
    assert next(iter(Path("results").rglob("*.seed0.jsonl"))).read_bytes() == before


def test_samples_of_another_temperature_or_version_are_not_taken(decoded: list[Any]) -> None:
    run()
    run("--temperature", "0.5")
    assert len(decoded) == 8
    path = next(iter(Path("results").rglob("settings.json")))
    for settings in Path("results").rglob("*.json"):
        settings.write_text(settings.read_text().replace('"parallelbench": "', '"parallelbench": "9.'))
    assert path.exists()
    told = run()
    assert "the version has changed (9." in told
    assert len(decoded) == 12


# -- two processes -------------------------------------------------------------------------------------------------

MAIN = "from benchmark.cli import main; main()"


def start(arguments: list[str], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 240
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def finished(directory: str) -> int:
    store = RunStore(directory)
    keys = settings_keys(settings_groups(store.read_settings()))
    return sum(store.find_samples(*key) is not None for key in keys)


METHODS = [f"random:k={k}" for k in (1, 2, 4, 8)]


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True], ids=["both end", "the first is killed"])
def test_two_runs_of_one_folder_do_not_decode_the_same(killed: bool) -> None:
    first = start([*asked("both/a", *METHODS, samples=100), "--batch-size", "4"])
    wait_for(lambda: (Path("both/a/.running.json")).exists() and (Path("both/a/settings.json")).exists())
    second = start([*asked("both/b", *METHODS, "margin:k=4", samples=100), "--batch-size", "4"])
    wait_for(lambda: Path("both/b/settings.json").exists() and finished("both/b") > 0)
    if killed:
        first.send_signal(signal.SIGKILL)
    first.communicate(timeout=300)
    told, _ = second.communicate(timeout=300)
    assert second.returncode == 0, told
    assert re.search(r"both/a decodes [1-4] of these settings now; waiting for it", told)
    from_first = re.search(r"([1-4]) of the awaited settings were taken from both/a", told)
    decoded_here = re.search(r"([1-4]) of the awaited settings were decoded here", told)
    (waited,) = re.findall(r"both/a decodes ([1-4]) of", told)
    assert sum(int(found[1]) for found in (from_first, decoded_here) if found) == int(waited)
    # One that is killed may have decoded all that was awaited before.
    assert decoded_here is None or killed
    assert finished("both/b") == 5
    if not killed:
        alone = start(asked("alone/a", *METHODS, samples=100))
        alone.communicate(timeout=300)
        for method in METHODS:
            key = "ideal", TASK, Method.parse(method)
            assert answers(RunStore("both/b"), key) == answers(RunStore("alone/a"), key)
