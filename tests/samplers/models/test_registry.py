"""The table of families: light, told apart, and no licence without its source."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from random_checkpoint import written
from support import ROOT

from samplers import models
from samplers.models.configuration import CheckpointConfig
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
    # A2D's are the tokenizer's, which differ from base to base; DiffusionGemma has noise in their place.
    unknown = [family.name for family in families if family.checkpoints and family.mask_token_id is None]
    assert unknown == ["A2D", "DiffusionGemma"]
    assert all(family.checked for family in families)


def test_families_that_share_a_model_type_are_told_apart() -> None:
    def name(values: dict[str, Any]) -> str | None:
        family = family_of(CheckpointConfig(values, "config.json"))
        return None if family is None else family.name

    assert name({"model_type": "llada", "architectures": ["LLaDAModelLM"]}) == "LLaDA"
    assert name({"model_type": "llada", "architectures": ["LLaDAMoEModelLM"]}) == "LLaDA-MoE"
    assert name({"model_type": "llada", "num_experts": 64}) == "LLaDA-MoE"
    assert name({"model_type": "llada"}) == "LLaDA"
    assert name({"model_type": "bert"}) is None
    assert name({"model_type": "Dream", "architectures": ["DreamModel"]}) == "Dream, DiffuCoder"
    assert name({"model_type": "Dream", "architectures": ["DreamForCausalLM"]}) == "DreamReasoner"
    assert name({"model_type": "Dream", "block_size": 32}) == "DreamReasoner"
    assert name({"model_type": "Dream"}) == "Dream, DiffuCoder"
    # Llama's model type is first of all a causal model's.
    assert name({"model_type": "llama", "architectures": ["StableDiffcoderForCausalLM"]}) == "Stable-DiffCoder"
    assert name({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}) is None
    assert name({"model_type": "llama"}) is None
    assert name({"model_type": "whatever", "architectures": ["ILLaDAForCausalLM"]}) == "iLLaDA"


def test_listing_the_families_imports_nothing_heavy() -> None:
    code = "import sys; from samplers import models; print(len(models.families()), 'torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == [str(len(FILES)), "False"]


PLUGIN = """
import dataclasses
from samplers.models.family_sdar import FAMILY

OWN = dataclasses.replace(FAMILY, name="Own", model_types=("own",), architectures=(), checkpoints=())
NUMBER = 7
"""
METADATA = "Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n"
ENTRY_POINTS = """[parallelbench.families]
own = plugin_families:OWN
broken = plugin_families:MISSING
number = plugin_families:NUMBER
"""


def test_an_installed_package_brings_families_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = written(tmp_path, "sdar")
    config = json.loads((folder / "config.json").read_text()) | {"model_type": "own", "architectures": None}
    (folder / "config.json").write_text(json.dumps(config))
    (tmp_path / "plugin_families.py").write_text(PLUGIN)
    (tmp_path / "plugin-1.0.dist-info").mkdir()
    (tmp_path / "plugin-1.0.dist-info" / "METADATA").write_text(METADATA)
    (tmp_path / "plugin-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    assert [family.name for family in models.families()][-1] == "Own"
    assert models.load(folder).attention == "block_causal"
    # A broken plugin is warned of, once, and nobody else's trouble.
    models.families()
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 2
    assert "cannot use family broken (plugin_families:MISSING)" in warnings[0]
    assert "cannot use family number (plugin_families:NUMBER): 7 is not a samplers.models.Family" in warnings[1]


#: What is published as a tune of a family's model, and says so in its config alone.
TUNES = {
    "llada": ("GSAI-ML/LLaDA-1.5", "d3LLM/d3LLM_LLaDA", "Zigeng/dParallel-LLaDA-8B-instruct"),
    "dream": (
        *("Dream-org/Dream-Coder-v0-Instruct-7B", "Dream-org/Dream-Coder-v0-Base-7B"),
        *("d3LLM/d3LLM_Dream", "d3LLM/d3LLM_Dream_Coder", "Zigeng/dParallel_Dream_7B_Instruct"),
    ),
    "llada2": ("inclusionAI/LLaDA2.0-mini-CAP", "inclusionAI/LLaDA2.0-flash-CAP"),
}


@pytest.mark.parametrize("name", TUNES)
def test_tunes_of_a_known_base_are_listed_under_the_family_that_loads_their_config(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path, name, config={"_name_or_path": TUNES[name][0], "transformers_version": "4.46.2"})
    family = family_of(CheckpointConfig(json.loads((folder / "config.json").read_text()), "config.json"))
    assert family is not None
    assert set(TUNES[name]) <= {checkpoint.name for checkpoint in family.checkpoints}
    assert models.load(folder).attention == family.attention
