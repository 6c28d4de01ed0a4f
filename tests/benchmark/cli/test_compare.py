"""`parallelbench compare` on two real runs: tables, decodings side by side, JSON, CSV, and its exit codes."""

import csv
import io
import json
from pathlib import Path

import pytest
from support import call

import benchmark

TASK = "waiting_line_shuffle"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Greedy decoding by confidence, and in a random order, which the ideal model does much better with."""
    directory = tmp_path_factory.mktemp("runs")
    names = [str(directory / name) for name in ("confidence", "random")]
    for name, method in zip(names, ("confidence:k=4", "random:k=4"), strict=True):
        benchmark.run(model="ideal", tasks=TASK, methods=method, samples=8, output=name)
    return names


def test_what_changed_is_told(runs: list[str]) -> None:
    result = call("compare", *runs, "--show", "1")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[:3] == [
        f"first run, before: {runs[0]}",
        f"second run, after: {runs[1]}",
        "methods differ: confidence(k=4) → random(k=4)",
    ]
    table = benchmark.compare(*runs)
    gained, lost = int(table["gained"][0]), int(table["lost"][0])
    assert gained > lost
    assert f"{gained + lost} answers flipped: {gained} gained, {lost} lost" in lines
    task = next(line for line in lines if line.strip().startswith(TASK))
    assert f"{table['difference'][0]:+.1f}" in task
    assert task.rstrip().endswith("gains")


def test_both_decodings_stand_side_by_side(runs: list[str]) -> None:
    flip = json.loads(call("compare", *runs, "--json").stdout)["flips"][0]
    shown = call("compare", *runs, "--show", "1").output.partition(flip["id"])[2]
    assert "under confidence(k=4) → random(k=4)" in shown
    answers = [flip[side]["commit_steps"][: len(flip[side]["tokens"])] for side in ("before", "after")]
    for step in {number for steps in answers for number in steps}:
        assert f"\n {step:>4}  " in shown
    assert shown.count("«") == sum(map(len, answers))
    assert TASK not in call("compare", *runs, "--show", "0").output.partition("answers flipped")[2]


def test_json_and_csv_say_the_same(runs: list[str]) -> None:
    told = json.loads(call("compare", *runs, "--json").stdout)
    rows = list(csv.DictReader(io.StringIO(call("compare", *runs, "--csv").stdout)))
    assert [float(row["difference"]) for row in rows] == [found["difference"] for found in told["settings"]]
    assert told["first"] == "confidence"
    assert told["overall"]["gained"] + told["overall"]["lost"] == len(told["flips"])
    refused = call("compare", *runs, "--json", "--csv")
    assert refused.exit_code == 2


@pytest.mark.parametrize(("below", "code"), [("-1", 0), ("101", 1)])
def test_a_difference_below_the_bound_is_exit_code_1(runs: list[str], below: str, code: int) -> None:
    result = call("compare", *runs, "--json", f"--fail-below={below}")
    assert result.exit_code == code
    json.loads(result.stdout)
    assert ("is below" in result.stderr) == bool(code)


def test_the_bound_itself_is_not_below(runs: list[str]) -> None:
    difference = json.loads(call("compare", *runs, "--json").stdout)["overall"]["difference"]
    assert call("compare", *runs, "--json", f"--fail-below={difference}").exit_code == 0


def test_a_directory_without_a_run_is_one_line(runs: list[str], tmp_path: Path) -> None:
    result = call("compare", runs[0], str(tmp_path))
    assert result.exit_code == 2
    assert "holds no run" in result.output
