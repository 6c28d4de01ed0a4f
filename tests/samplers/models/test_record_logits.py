"""What the recorder writes is what the parity tests read, and a wrong loader fails on it."""

import json
from pathlib import Path

import pytest
import record_logits
import torch
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from recorded_logits import TOLERANCE, cases_of, run_case

from samplers import models

ORIGINAL = """
'''Stands for a family's own code: transformers' causal model, told not to be causal.'''

import json
from transformers import Qwen3Config, Qwen3ForCausalLM

class Original:
    @classmethod
    def from_pretrained(cls, folder):
        config = json.loads((folder / "config.json").read_text())
        config.pop("model_type")
        rope = {"rope_type": "default", "rope_theta": config.pop("rope_theta")}
        settings = Qwen3Config(**config, rope_parameters=rope)
        settings.is_causal = False
        return Qwen3ForCausalLM.from_pretrained(folder, config=settings)
"""


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "original_sdar.py").write_text(ORIGINAL)
    monkeypatch.syspath_prepend(tmp_path)
    folder = write_checkpoint(tmp_path / "sdar", TINY_CONFIGS["sdar"])
    record_logits.main(
        [str(folder), str(tmp_path / "recorded"), "--class", "original_sdar:Original", "--blocks", "4", "8"]
    )
    return tmp_path / "recorded"


def test_recorded_family_is_checked_as_the_golden_ones_are(recorded: Path) -> None:
    model = models.load(recorded)
    cases = cases_of(recorded)
    assert {case.kind for case in cases} == {"block_causal"}
    for case in cases:
        assert case.difference(run_case(model, case)) < TOLERANCE


def test_wrong_base_of_the_rotary_positions_shows(recorded: Path) -> None:
    config = json.loads((recorded / "config.json").read_text()) | {"rope_theta": 500.0}
    (recorded / "config.json").write_text(json.dumps(config))
    model = models.load(recorded)
    with torch.no_grad():
        assert max(case.difference(run_case(model, case)) for case in cases_of(recorded)) > 100 * TOLERANCE
