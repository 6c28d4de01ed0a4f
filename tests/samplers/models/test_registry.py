"""The table of families: light, told apart, and no licence without its source."""

import subprocess
import sys
from typing import Any

from support import ROOT

from samplers import models
from samplers.models.registry import family_of

FILES = list((ROOT / "samplers" / "models").glob("family_*.py"))


def test_families_are_light_records() -> None:
    families = models.families()
    assert len({family.name for family in families}) == len(families) == len(FILES)
    for family in families:
        assert hash(family) == hash(family)
        for checkpoint in family.checkpoints:
            assert checkpoint.name.count("/") == 1
            assert checkpoint.memory_gb == 2 * checkpoint.parameters
            assert (checkpoint.licence is None) == (checkpoint.licence_source is None), "no licence without a source"
    # Every family that has something published says by which ids it is known.
    assert all(family.mask_token_id is not None for family in families if family.checkpoints)


def test_families_that_share_a_model_type_are_told_apart() -> None:
    from samplers.models.configuration import CheckpointConfig

    def name(values: dict[str, Any]) -> str | None:
        family = family_of(CheckpointConfig(values, "config.json"))
        return None if family is None else family.name

    assert name({"model_type": "llada", "architectures": ["LLaDAModelLM"]}) == "LLaDA"
    assert name({"model_type": "llada", "architectures": ["LLaDAMoEModelLM"]}) == "LLaDA-MoE"
    assert name({"model_type": "llada", "num_experts": 64}) == "LLaDA-MoE"
    assert name({"model_type": "llada"}) == "LLaDA"
    assert name({"model_type": "bert"}) is None


def test_listing_the_families_imports_nothing_heavy() -> None:
    code = "import sys; from samplers import models; print(len(models.families()), 'torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == [str(len(FILES)), "False"]
