"""What a dry run says: runs, questions, forward passes, and the time that models on this machine would take."""

import re
from pathlib import Path

import pytest
from support import ROOT, call

pytestmark = pytest.mark.usefixtures("elsewhere")


def dry_run(*arguments: str) -> list[str]:
    result = call("run", *arguments, "--dry-run", "--no-probe")
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_a_dry_run_of_the_paper_s_grid_ends_in_its_runs_questions_and_forward_passes(elsewhere: Path) -> None:
    *_, last = dry_run("--grid", "paper", "--model", str(ROOT / "hub_model"))
    assert last.startswith("2,823 runs, 283,812 questions, 3,461,808 + at most ")
    assert last.endswith(" forward passes")
    assert dry_run("--grid", "paper")[-1].startswith("11,292 runs, ")
    assert list(elsewhere.iterdir()) == []


def test_a_dry_run_of_the_comparison_with_language_models_counts_what_is_known(elsewhere: Path) -> None:
    *_, last = dry_run("--grid", "dllm_vs_llm")
    # Services tell no forward passes beforehand.
    assert last == "391 runs, 39,284 questions, 2,079,744 + at most 8,744,960 forward passes"


def test_a_dry_run_says_what_cannot_be_run_yet(elsewhere: Path) -> None:
    Path("mine.yaml").write_text(
        "models: [someone]\ngroups:\n  - {tasks: [waiting_line_copy], methods: ['random:k=1'], needs: a licence}\n"
    )
    *_, note, last = dry_run("--grid", "mine.yaml")
    assert note.startswith("1 of these runs cannot be run yet")
    assert last.startswith("1 runs, 100 questions, ")


def test_a_dry_run_needs_no_model_and_counts_what_options_leave(elsewhere: Path) -> None:
    arguments = ["--grid", "paper", "--model", "nobody/nothing", "--task", "waiting_line_copy", "--samples", "10"]
    assert dry_run(*arguments, "--scheduler", "random:k=[1,2,4]", "--block-length", "8")[-1] == (
        "3 runs, 30 questions, 560 forward passes"
    )
    assert dry_run(*arguments, "--scheduler", "threshold:threshold=0.9")[-1] == (
        "6 runs, 60 questions, at most 1,920 forward passes"
    )


def test_a_dry_run_tries_models_that_are_here_and_names_those_that_are_not(elsewhere: Path) -> None:
    arguments = ["--model", "ideal", "--model", "nobody/nothing", "--model", "api:someone", "--task", "puzzle"]
    arguments += ["--samples", "2", "--scheduler", "random:k=16"]
    result = call("run", *arguments, "--dry-run")
    assert result.exit_code == 0, result.output
    *_, tried, absent, last = result.stdout.splitlines()
    assert re.fullmatch(
        r"ideal on cpu: about \d+ s \(tried: \d questions of puzzle_\S+( and puzzle_\S+)* under 1 methods in \d+ s, "
        r"[\d,]+ states/s, -?\d+% of the forward passes saved; --no-probe leaves this out\)",
        tried,
    )
    assert absent == "no estimate for nobody/nothing, api:someone: none is on this machine"
    assert last.endswith(" forward passes")
    assert list(elsewhere.iterdir()) == []


def test_a_model_that_cannot_be_tried_leaves_the_rest_of_a_dry_run_as_it_is(elsewhere: Path) -> None:
    Path("empty").mkdir()
    arguments = ["--model", "empty", "--task", "waiting_line_copy", "--samples", "1", "--scheduler", "random:k=16"]
    result = call("run", *arguments, "--dry-run")
    assert result.exit_code == 0, result.output
    *_, tried, last = result.stdout.splitlines()
    assert tried == "no estimate for empty: 'empty' has no config.json, so it holds no model"
    assert last == "1 runs, 1 questions, 2 forward passes"
