"""config.json: what the blocks can express is built, and every other key or value is refused by name, in one line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from random_checkpoint import IDS, TINY_CONFIGS, written

from samplers import models


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("llada", "alibi", True),
        ("llada", "rope", False),
        ("llada", "block_type", "sequential"),
        ("llada", "layer_norm_type", "default"),
        ("llada", "activation_type", "swiglu"),
        ("llada", "attention_layer_norm", True),
        ("llada", "include_bias", True),
        ("llada", "bias_for_layer_norm", True),
        ("llada", "input_emb_norm", True),
        ("llada", "scale_logits", True),
        ("llada", "block_group_size", 2),
        ("dream", "use_mrope", True),
        ("dream", "use_sliding_window", True),
        ("dream", "hidden_act", "gelu"),
        ("fast_dllm", "layer_types", ["full_attention", "sliding_attention"]),
        ("llada2", "score_function", "softmax"),
        ("llada2", "norm_head", True),
        ("llada2", "use_bias", True),
        ("llada_moe", "clip_qkv", 8.0),
        ("llada_moe", "qk_layernorm", False),
        ("llada_moe", "norm_topk_prob", True),
        ("llada_moe", "shared_expert_intermediate_size", 16),
        ("llada_moe", "routed_scaling_factor", 2.5),
    ],
)
def test_config_that_the_blocks_cannot_express_is_refused(tmp_path: Path, name: str, key: str, value: Any) -> None:
    folder = written(tmp_path, name)
    (folder / "config.json").write_text(json.dumps(TINY_CONFIGS[name] | {key: value}))
    with pytest.raises(ValueError, match=f"config.json: {key} is .*which this family's blocks cannot express") as error:
        models.load(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("llada", "d_model"),
        ("llada", "weight_tying"),
        ("sdar", "head_dim"),
        ("dream", "rope_theta"),
        ("llada2", "n_group"),
    ],
)
def test_key_that_cannot_be_guessed_must_be_there(tmp_path: Path, name: str, key: str) -> None:
    folder = written(tmp_path, name)
    config = {other: value for other, value in TINY_CONFIGS[name].items() if other != key}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=f"{key} is missing"):
        models.load(folder)


@pytest.mark.parametrize("key", ["rope_scaling", "rope_parameters"])
def test_unknown_rope_type_is_refused_by_name(tmp_path: Path, key: str) -> None:
    folder = written(tmp_path, "sdar")
    (folder / "config.json").write_text(json.dumps(TINY_CONFIGS["sdar"] | {key: {"type": "spiral", "factor": 2.0}}))
    with pytest.raises(ValueError, match=f"{key} asks for rope type 'spiral'; the blocks know default, linear"):
        models.load(folder)


@pytest.mark.parametrize(
    ("name", "key", "value", "expected"),
    [
        ("llada", "d_model", "wide", "a whole number of at least 1"),
        ("llada", "n_heads", 0, "a whole number of at least 1"),
        ("llada", "n_heads", 5, "cannot be built from it"),
        ("llada", "multi_query_attention", "no", "true or false"),
        ("dream", "rms_norm_eps", "1e-6", "a positive number"),
        ("dream", "rope_theta", [], "a positive number"),
        ("dream", "rope_scaling", "yarn", "an object"),
        ("dream", "rope_scaling", {"type": "yarn"}, "cannot be built from it"),
        ("sdar", "rope_parameters", {"rope_theta": "large"}, "whose rope_theta is a positive number"),
        ("sdar", "block_size", "four", "a whole number of at least 1"),
        ("sdar", "num_experts", 8, "only the dense ones"),
        ("llada2", "n_group", 3, "a divisor of the 4 experts"),
        ("llada2", "topk_group", 3, "at most 2"),
        ("llada2", "num_experts_per_tok", 5, "at most 4"),
        ("llada2", "partial_rotary_factor", 1.5, "at most 1"),
        ("llada_moe", "moe_layer_freq", 1, "a list with an entry per layer"),
        ("dream", "mask_token_id", 64, "the vocabulary has 64 tokens"),
        ("dream", "mask_token_id", "<mask>", "it should be the number of a token"),
        ("dream", "torch_dtype", 16, "is not a floating dtype"),
        ("dream", "model_type", ["Dream"], "neither a masked language model"),
    ],
)
def test_value_of_another_kind_is_one_line(tmp_path: Path, name: str, key: str, value: Any, expected: str) -> None:
    folder = written(tmp_path, name)
    (folder / "config.json").write_text(json.dumps(TINY_CONFIGS[name] | {key: value}))
    with pytest.raises(ValueError, match=re.escape(expected)) as error:
        models.load(folder)
    assert "\n" not in str(error.value)


def test_known_rope_type_changes_the_logits(tmp_path: Path) -> None:
    folder = written(tmp_path, "sdar")
    plain = models.load(folder)(IDS).logits
    (folder / "config.json").write_text(
        json.dumps(TINY_CONFIGS["sdar"] | {"rope_scaling": {"type": "linear", "factor": 4.0}})
    )
    scaled = models.load(folder)(IDS).logits
    assert not torch.allclose(plain, scaled)
    (folder / "config.json").write_text(
        json.dumps(
            TINY_CONFIGS["sdar"] | {"rope_theta": None, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}
        )
    )
    assert torch.equal(models.load(folder)(IDS).logits, plain)
