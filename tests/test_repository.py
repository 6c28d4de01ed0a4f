"""Tests of what people expect of a repository: its workflow, hooks and forms run what is there."""

import re
import subprocess
import tomllib

import pytest
import yaml
from support import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def commands_of(target: str) -> list[str]:
    """What `make` would run for a target in a checkout where nothing is installed."""
    command = ["make", "--dry-run", "--always-make", target, "VENV=nowhere"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def test_workflow_runs_the_checks_on_pushes_and_pull_requests() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert set(workflow[True]) == {"push", "pull_request"}  # YAML takes `on` for a truth value
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    called = re.findall(r"^make (\S+)(?: ARGS=\S+)?$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(called) == {"lint", "typecheck", "docs", "test", "test-slow"} <= TARGETS


def test_hooks_call_targets_that_exist() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [hook["entry"] for hook in repository["hooks"]] == ["make lint", "make typecheck"]


@pytest.mark.parametrize("form", ["bug", "method_or_model"])
def test_form_asks_for_what_can_be_answered(form: str) -> None:
    content = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{form}.yml").read_text(encoding="utf-8"))
    assert content["name"]
    assert content["description"]
    assert len({field["id"] for field in content["body"]}) == len(content["body"])
    assert all(field["attributes"]["label"] for field in content["body"])
    assert any(field.get("validations", {}).get("required") for field in content["body"])


def test_run_installs_no_extra_and_the_others_what_they_need() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    installed = {
        target: [line.split("constraints.txt ")[1] for line in commands_of(target) if "pip install" in line]
        for target in ("run", "lint", "test", "typecheck", "docs")
    }
    assert installed["run"] == ["-e ."]
    assert installed["lint"] == ["ruff"]
    for target, extra in (("test", "dev"), ("typecheck", "dev"), ("docs", "docs")):
        assert installed[target] == ["-e .", f"-e '.[{extra}]'"]
        assert extra in extras
