"""The README's Python examples run as they stand."""

import os
import re
import subprocess
import sys

import pytest
import torch
from support import ROOT
from toy_denoiser import ToyDenoiser

EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
# What loads data needs it built or installed before: below, and in the tests of custom tasks.
SELF_CONTAINED = [code for code in EXAMPLES if "load_dataset(" not in code]
LITERAL_CALLS = [code for code in EXAMPLES if 'load_dataset("parallelbench"' in code]


def first_line_of_interest(code):
    return next(line for line in code.splitlines() if line and not line.startswith(("import", "from")))


@pytest.mark.parametrize("code", SELF_CONTAINED, ids=first_line_of_interest)
def test_python_example_runs(code, monkeypatch):
    monkeypatch.chdir(ROOT)
    model = ToyDenoiser()
    given = {"model": model, "input_ids": torch.tensor([[3, 1, 4, 1]]), "mask_token_id": model.mask_token_id}
    exec(compile(code, "README.md", "exec"), given)
    if "answer" in given:
        assert not (given["answer"] == model.mask_token_id).any()


@pytest.mark.slow
@pytest.mark.parametrize("code", LITERAL_CALLS, ids=first_line_of_interest)
def test_literal_calls_run_anywhere_after_the_install(code, tmp_path):
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    environment |= {"HF_EVALUATE_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    install = [sys.executable, "generate_tasks.py", "install"]
    subprocess.run(install, cwd=ROOT, env=environment, check=True, capture_output=True)
    run = [sys.executable, "-c", code]
    result = subprocess.run(run, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "100.0"


def test_there_are_examples_of_the_loop_the_samplers_the_metric_and_the_data():
    assert any("generate(" in code for code in SELF_CONTAINED)
    assert any("scheduler.step(" in code for code in SELF_CONTAINED)
    assert any("evaluate.load(" in code for code in SELF_CONTAINED)
    assert LITERAL_CALLS


def test_every_example_runs_in_some_test_or_says_why_it_does_not():
    # The guide to tasks of one's own is run by the tests of custom tasks, from the README itself.
    guide = (ROOT / "README.md").read_text(encoding="utf-8").split("## Your own tasks\n")[1].split("\n## ")[0]
    for code in EXAMPLES:
        run = code in SELF_CONTAINED or code in LITERAL_CALLS or code in guide
        assert run or code.startswith("# Not run by the tests: "), code
