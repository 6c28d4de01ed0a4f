"""The README's Python examples run as they stand."""

import re

import pytest
import torch
from support import ROOT
from toy_denoiser import ToyDenoiser

EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)


def first_line_of_interest(code):
    return next(line for line in code.splitlines() if line and not line.startswith(("import", "from")))


@pytest.mark.parametrize("code", EXAMPLES, ids=first_line_of_interest)
def test_python_example_runs(code, monkeypatch):
    monkeypatch.chdir(ROOT)
    model = ToyDenoiser()
    given = {"model": model, "input_ids": torch.tensor([[3, 1, 4, 1]]), "mask_token_id": model.mask_token_id}
    exec(compile(code, "README.md", "exec"), given)
    if "answer" in given:
        assert not (given["answer"] == model.mask_token_id).any()


def test_there_are_examples_of_the_loop_the_samplers_and_the_metric():
    text = "\n".join(EXAMPLES)
    assert "generate(" in text
    assert "scheduler.step(" in text
    assert "evaluate.load(" in text
