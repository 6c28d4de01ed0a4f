"""The shipped model by transformers' own ways: nobody who loads it sees a warning."""

import subprocess
import sys

import pytest
from support import ROOT

CALLS = {
    "tokenizer": "print(transformers.AutoTokenizer.from_pretrained('hub_model')('Hello')['input_ids'])",
    "fast tokenizer": "print(transformers.PreTrainedTokenizerFast.from_pretrained('hub_model')('Hello')['input_ids'])",
}


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_no_warning(call: str) -> None:
    command = [sys.executable, "-c", f"import transformers; {call}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip()
    assert "instantiate a model of type" not in done.stderr
    assert done.stderr.strip() == ""
