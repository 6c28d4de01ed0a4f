"""What the recorder writes is what the parity tests read, and a wrong loader fails on it."""

import json
from pathlib import Path
from typing import Any

import pytest
import record_logits
import torch
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from recorded_logits import TOLERANCE, cases_of, run_case
from transformers import Qwen3Config, Qwen3ForCausalLM

from samplers import models


class Original:
    """Stands for a family's own code: transformers' causal model, told by its masks not to be causal."""

    @classmethod
    def from_pretrained(cls, folder: Path) -> Any:
        config = json.loads((folder / "config.json").read_text())
        rope = {"rope_type": "default", "rope_theta": config.pop("rope_theta")}
        config.pop("model_type")
        settings = Qwen3Config(**config, rope_parameters=rope)
        settings.is_causal = False
        return Qwen3ForCausalLM.from_pretrained(folder, config=settings)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    folder = write_checkpoint(tmp_path / "sdar", TINY_CONFIGS["sdar"])
    command = [str(folder), str(tmp_path / "recorded"), "--class", f"{__name__}:Original", "--blocks", "4", "8"]
    import sys

    sys.modules.setdefault(__name__, sys.modules.get(__name__) or _this_module())
    record_logits.main(command)
    return tmp_path / "recorded"


def _this_module() -> Any:
    import types

    module = types.ModuleType(__name__)
    module.Original = Original  # type: ignore[attr-defined]
    return module


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
