"""Loaded checkpoints give the logits that the families' own code gave, padded and not, cached and not."""

import itertools
import json
import shutil
from pathlib import Path

import pytest
import torch
from recorded_logits import TOLERANCE, cases_of, checkpoints, run_cached, run_case, run_given_mask, sample_of
from safetensors.torch import load_file
from support import FULL
from transformers import Qwen3Config, Qwen3ForCausalLM

from samplers import models


@pytest.mark.parametrize("folder", checkpoints())
def test_uncached_logits_are_the_recorded_ones(folder: Path) -> None:
    model = models.load(folder)
    compared = 0
    for case in cases_of(folder):
        if case.kind in ("full", "padded", "block_causal", "causal_context", "prompt_first"):
            assert case.difference(run_case(model, case)) < TOLERANCE, case.name
            compared += 1
    assert compared


@pytest.mark.parametrize("folder", checkpoints())
def test_finished_masks_are_taken_as_they_are(folder: Path) -> None:
    model = models.load(folder)
    for case in cases_of(folder):
        mask = case.tensors.get("attention_mask")
        if mask is not None and mask.dim() == 4:
            assert case.difference(run_given_mask(model, case)) < TOLERANCE, case.name


@pytest.mark.parametrize("folder", checkpoints())
def test_cached_logits_are_the_recorded_ones(folder: Path) -> None:
    model = models.load(folder)
    cached = [case for case in cases_of(folder) if case.kind.startswith(("cached_block", "subblock"))]
    for sequence, steps in itertools.groupby(cached, key=lambda case: case.facts["sequence"]):
        cases = list(steps)
        for case, logits in zip(cases, run_cached(model, cases), strict=True):
            assert case.difference(logits) < TOLERANCE, (sequence, case.name)


@pytest.mark.parametrize("folder", checkpoints())
def test_prefix_and_dual_caches_are_the_recorded_ones(folder: Path) -> None:
    model = models.load(folder)
    cases = {case.name: case for case in cases_of(folder) if case.kind.startswith("cache_")}
    for name, case in cases.items():
        if "uses" in case.facts:
            chain = [cases[case.facts["uses"]], case]
            for one, logits in zip(chain, run_cached(model, chain), strict=True):
                assert one.difference(logits) < TOLERANCE, (name, one.name)


@pytest.mark.parametrize("folder", checkpoints())
def test_aligned_logits_are_the_raw_ones_moved(folder: Path) -> None:
    model = models.load(folder)
    case = cases_of(folder)[0] if len(cases_of(folder)[0].ids[0]) > 1 else cases_of(folder)[1]
    ids = case.ids
    raw, aligned = model(ids, aligned=False).logits, model(ids).logits
    expected = torch.cat([raw[:, :1], raw[:, :-1]], dim=1) if model.shift else raw
    assert torch.equal(aligned, expected)
    rows = torch.tensor([0, 3, 5])
    assert torch.allclose(model(ids, logits_to_keep=rows).logits, aligned[:, rows], atol=1e-5)
    assert torch.allclose(model(ids, logits_to_keep=2).logits, aligned[:, -2:], atol=1e-5)


def test_eager_attention_sees_what_the_fused_kernel_sees() -> None:
    model = models.load(sample_of("llada2_a"))
    model.model.config._attn_implementation = "eager"
    for case in cases_of(sample_of("llada2_a")):
        if case.kind in ("full", "padded", "block_causal"):
            assert case.difference(run_case(model, case)) < TOLERANCE, case.name


@pytest.mark.parametrize("folder", checkpoints())
def test_bfloat16_keeps_the_likeliest_token(folder: Path) -> None:
    model = models.load(folder, dtype="bfloat16")
    equal = total = 0
    for case in cases_of(folder):
        if case.kind in ("full", "block_causal", "causal_context", "prompt_first"):
            same = run_case(model, case).argmax(dim=-1) == case.tensors["logits"].argmax(dim=-1)
            equal, total = equal + int(same.sum()), total + same.numel()
    assert equal / total > 0.9


def test_dream_is_fast_dllm_without_blocks(tmp_path: Path) -> None:
    # The same blocks, biases and shift: with everything visible, recorded logits of the one hold for the other.
    source = sample_of("fastdllm_v2_a")
    shutil.copytree(source, tmp_path / "dream")
    config = json.loads((source / "config.json").read_text())
    del config["bd_size"]
    config |= {"model_type": "Dream", "architectures": ["DreamModel"], "use_mrope": False, "mask_token_id": 126}
    (tmp_path / "dream" / "config.json").write_text(json.dumps(config))
    model = models.load(tmp_path / "dream")
    assert (model.attention, model.block_length, model.shift, model.mask_token_id) == ("full", None, 1, 126)
    blocks = models.load(source)
    for case in cases_of(source):
        if case.kind == "full":
            assert case.difference(run_case(model, case)) < TOLERANCE
        if case.kind == "block_causal":
            blocks.block_length = 64
            assert torch.allclose(model(case.ids).logits, blocks(case.ids).logits, atol=1e-5)


def test_sdar_with_blocks_of_one_token_is_causal_qwen3(tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = {"vocab_size": 50, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2}
    settings |= {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 10, "rms_norm_eps": 1e-6}
    causal = Qwen3ForCausalLM(
        Qwen3Config(**settings, rope_parameters={"rope_type": "default", "rope_theta": 1e6}, tie_word_embeddings=False)
    ).eval()
    causal.save_pretrained(tmp_path)
    config = {
        **settings,
        "model_type": "sdar",
        "architectures": ["SDARForCausalLM"],
        "rope_theta": 1e6,
        "block_size": 1,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    ids = torch.randint(0, 50, (2, 11))
    mask = torch.tensor([[0] * 4 + [1] * 7, [1] * 11])
    with torch.no_grad():
        ours = models.load(tmp_path)(ids, attention_mask=mask).logits
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        theirs = causal(ids, attention_mask=mask, position_ids=positions).logits
    assert torch.allclose(ours[mask.bool()], theirs[mask.bool()], atol=1e-5)


@pytest.mark.skipif(not (FULL / "checkpoints").exists(), reason="only a sample of the checkpoints is here")
def test_sample_is_part_of_the_whole_set() -> None:
    for folder in (FULL / "checkpoints").iterdir():
        if folder.is_dir() and sample_of(folder.name).exists():
            whole = load_file(folder / "cases.safetensors")
            for name, tensor in load_file(sample_of(folder.name) / "cases.safetensors").items():
                assert torch.equal(tensor, whole[name])
