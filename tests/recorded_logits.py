"""Recorded logits of small checkpoints, by the families' own code or independent code: reading and running cases."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support import FULL, SAMPLES
from torch import Tensor

from samplers.denoisers.caches import KeyValueBuffer

FOLDERS = ("llada_a", "dream_a", "sdar_a", "fastdllm_v2_a", "llada2_a", "llada_moe_a")
#: Recorded by `record_independent_logits.py`, all of them here.
INDEPENDENT = (
    *("illada_b", "dream_reasoner_b", "sdar_moe_b", "rnd1_b", "stable_diffcoder_b", "llada2_2_b"),
    *("a2d_qwen3_mdlm_b", "a2d_qwen2_bd3lm_b", "a2d_llama_bd3lm_b", "nemotron_labs_diffusion_b"),
    "parallelbench_b",
)
TOLERANCE = 1e-4


def checkpoints() -> list[Any]:
    """Parameters for a test: the checkpoints in this repository, and the whole set where it is at hand."""
    absent = pytest.mark.skipif(not (FULL / "checkpoints").exists(), reason="only a sample of the checkpoints is here")
    here = [SAMPLES / "checkpoints" / folder for folder in FOLDERS]
    sample = [pytest.param(path, id=f"sample-{path.name}") for path in here if path.exists()]
    independent = [pytest.param(sample_of(folder), id=folder) for folder in INDEPENDENT]
    return (
        sample
        + independent
        + [pytest.param(FULL / "checkpoints" / folder, id=f"full-{folder}", marks=absent) for folder in FOLDERS]
    )


def sample_of(folder: str) -> Path:
    """A checkpoint of the sample."""
    return SAMPLES / "checkpoints" / folder


@dataclass
class Case:
    """One recorded call. `tensors` holds `input_ids`, `logits` and, where given, masks and position ids."""

    name: str
    kind: str
    facts: dict[str, Any]
    tensors: dict[str, Tensor] = field(default_factory=dict)

    @property
    def ids(self) -> Tensor:
        return self.tensors["input_ids"].long()

    def difference(self, logits: Tensor) -> float:
        """The largest difference from the recorded logits, real tokens alone."""
        assert logits.shape == self.tensors["logits"].shape
        difference = (logits.float() - self.tensors["logits"]).abs()
        valid = self.tensors.get("valid", self.tensors.get("attention_mask") if self.kind == "padded" else None)
        return float((difference if valid is None else difference[valid.bool()]).max())


def cases_of(folder: Path) -> list[Case]:
    """All cases of a checkpoint, in order."""
    tensors = load_file(folder / "cases.safetensors")
    return [
        Case(one["name"], one["kind"], one, {role: tensors[name] for role, name in one["tensors"].items()})
        for one in json.loads((folder / "cases.json").read_text())["cases"]
    ]


@torch.no_grad()
def run_case(model: Any, case: Case) -> Tensor:
    """Raw logits of a case that needs no cache, through the model's own attention where it has the recorded one."""
    given, arguments = case.tensors.get("attention_mask"), {}
    if case.kind == "full" and model.attention == "block_causal":
        arguments["attention_mask"] = torch.ones(1, 1, *[case.ids.shape[1]] * 2, dtype=torch.bool)
    elif case.kind == "padded":
        arguments["attention_mask"] = case.tensors.get("valid", given)
    if "prompt_length" in case.facts:
        arguments["prompt_length"] = case.facts["prompt_length"]
    if model.attention == "block_causal" and "block_size" in case.facts:
        model.block_length = case.facts["block_size"]
    return model(case.ids, aligned=False, **arguments).logits


@torch.no_grad()
def run_given_mask(model: Any, case: Case) -> Tensor:
    """Raw logits of a case under the 4-D mask and the position ids that were recorded with it."""
    positions = case.tensors.get("position_ids")
    mask = case.tensors["attention_mask"]
    return model(
        case.ids, attention_mask=mask, position_ids=None if positions is None else positions.long(), aligned=False
    ).logits


@torch.no_grad()
def run_cached(model: Any, cases: list[Case]) -> list[Tensor]:
    """Raw logits of the calls of one sequence, which share a cache."""
    buffer = KeyValueBuffer(64)
    results = []
    for case in cases:
        length = case.ids.shape[1]
        start, visible = _place(case, length)
        if model.attention == "block_causal":
            model.block_length = case.facts["block_size"]
        mask = None
        if case.kind == "cached_block" or case.kind.startswith("subblock"):
            keys, queries = torch.arange(visible), torch.arange(start, start + length)
            mask = (queries[:, None] // model.block_length >= keys // model.block_length)[None, None]
        buffer.expose(start, visible)
        results.append(
            model(
                case.ids,
                attention_mask=mask,
                position_ids=torch.arange(start, start + length)[None],
                past_key_values=buffer,
                aligned=False,
            ).logits
        )
    return results


def _place(case: Case, length: int) -> tuple[int, int]:
    """Where a call's keys go, and how many keys it sees."""
    facts = case.facts
    if case.kind == "subblock_sub":
        return facts["past"] + facts["start"], facts["past"] + facts["block_size"]
    if case.kind == "cache_dual":
        return facts["start"], 16
    start = facts.get("past", facts.get("start", 0))
    return start, start + length
