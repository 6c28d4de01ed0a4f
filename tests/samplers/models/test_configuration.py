"""config.json: what the blocks can express is built, and every other key or value is refused by name, in one line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
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
        ("llada", "rope_full_precision", False),
        ("llada", "partial_rotary_factor", 0.5),
        ("llada", "is_decoder", True),
        ("dream", "use_mrope", True),
        ("dream", "use_sliding_window", True),
        ("dream", "hidden_act", "gelu"),
        ("fast_dllm", "layer_types", ["full_attention", "sliding_attention"]),
        ("llada2", "score_function", "softmax"),
        ("llada2", "norm_head", True),
        ("llada2", "use_bias", True),
        ("llada2", "router_dtype", "bf16"),
        ("llada2", "rotary_dim", 2),
        ("llada2", "num_nextn_predict_layers", 1),
        ("llada2", "moe_shared_expert_intermediate_size", 8),
        ("llada_moe", "clip_qkv", 8.0),
        ("llada_moe", "qk_layernorm", False),
        ("llada_moe", "norm_topk_prob", True),
        ("llada_moe", "shared_expert_intermediate_size", 16),
        ("llada_moe", "routed_scaling_factor", 2.5),
        ("illada", "layer_norm_eps", 1e-5),
        ("illada", "mlp_bias", True),
        ("stable_diffcoder", "mlp_bias", True),
        ("dream_reasoner", "use_mrope", True),
        ("sdar_moe", "use_sliding_window", True),
        ("rnd1", "decoder_sparse_step", 2),
        ("rnd1", "mlp_only_layers", [0]),
        ("rnd1", "is_causal", True),
        ("a2d_llama", "mlp_bias", True),
        ("nemotron_labs_diffusion", "dlm_paradigm", "autoregressive"),
        ("nemotron_labs_diffusion", "sliding_window", 4096),
        ("nemotron_labs_diffusion", "attention_bias", True),
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
        ("llada2", "expert_capacity", 48, "at most 4"),
        ("llada2", "expert_capacity", 1, "at least 2"),
        ("llada2_2", "delete_token_id", 64, "a token id below 64"),
        ("sdar_moe", "mlp_only_layers", 3, "a list of layers"),
        ("sdar_moe", "norm_topk_prob", "yes", "true or false"),
        ("a2d_qwen3", "diffusion", "ar", "'mdlm' or 'bd3lm'"),
        ("nemotron_labs_diffusion", "rope_parameters", {"rope_theta": 1e4}, "llama_4_scaling_beta is a number"),
        ("llada2", "n_group", 3, "a divisor of the 4 experts"),
        ("llada2", "topk_group", 3, "at most 2"),
        ("llada2", "num_experts_per_tok", 5, "at most 4"),
        ("llada2", "partial_rotary_factor", 1.5, "at most 1"),
        ("llada_moe", "moe_layer_freq", 1, "a list with an entry per layer"),
        ("dream", "mask_token_id", 64, "the vocabulary has 64 tokens"),
        ("dream", "mask_token_id", "<mask>", "should be a token id"),
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


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("llada2", "some_new_router", True),
        ("llada", "clip_qkv", 8.0),
        ("dream", "block_size", 32),
        ("sdar", "quantization_config", {"quant_method": "gptq", "bits": 4}),
        ("fast_dllm", "per_layer_config", {"0": {"num_attention_heads": 2}}),
        ("llada_moe", "embedding_multiplier", 12.0),
        ("parallelbench", "logit_scale", 0.5),
    ],
)
@pytest.mark.parametrize("look", [models.load, lambda folder: models.check(models.find(folder))])
def test_key_that_nobody_reads_is_refused_by_name(tmp_path: Path, look: Any, name: str, key: str, value: Any) -> None:
    folder = written(tmp_path, name)
    (folder / "config.json").write_text(json.dumps(TINY_CONFIGS[name] | {key: value}))
    with pytest.raises(ValueError, match=f"config.json: {key} is .*do not know.*may change") as error:
        look(folder)
    assert "\n" not in str(error.value)
    (folder / "config.json").write_text(json.dumps(TINY_CONFIGS[name] | {key: None}))
    look(folder)


@pytest.mark.parametrize("name", TINY_CONFIGS)
def test_keys_of_transformers_itself_are_no_strangers(tmp_path: Path, name: str) -> None:
    """What `save_pretrained` of transformers 5 and of 4 write into every config, whatever the model."""
    every = transformers.PreTrainedConfig().to_dict() | transformers.GenerationConfig().to_dict()
    old = {"torch_dtype": "float32", "_name_or_path": "a/b", "tokenizer_class": "X", "is_decoder": False}
    folder = written(tmp_path, name)
    (folder / "config.json").write_text(json.dumps(every | old | TINY_CONFIGS[name]))
    assert models.load(folder)(IDS).logits.isfinite().all()


#: Keys of the published configs with other than their tiny values; sizes and ids are the tiny checkpoint's.
PUBLISHED = {
    # LLaDA-8B-Instruct, as copied to hxhcreate/DARE.
    "llada": {
        "activation_type": "silu", "alibi": False, "alibi_bias_max": 8.0, "attention_dropout": 0.0,
        "attention_layer_norm": False, "attention_layer_norm_with_affine": True, "bias_for_layer_norm": False,
        "block_group_size": 1, "block_type": "llama", "embedding_dropout": 0.0, "flash_attention": True,
        "flash_attn_varlen": True, "include_bias": False, "include_qkv_bias": False, "init_cutoff_factor": None,
        "init_device": "meta", "init_fn": "mitchell", "init_std": 0.02, "input_emb_norm": False,
        "layer_norm_type": "rms", "layer_norm_with_affine": True, "max_sequence_length": 4096, "mlp_ratio": 4,
        "multi_query_attention": None, "precision": "amp_bf16", "residual_dropout": 0.0, "rope": True,
        "rope_full_precision": True, "scale_logits": False, "torch_dtype": "bfloat16", "use_cache": False,
    },
    # SDAR-1.7B-Chat, as copied to hxhcreate/DARE.
    "sdar": {
        "attention_bias": False, "attention_dropout": 0.0, "attn_implementation": "flex_attention",
        "bos_token_id": 60, "debug": False, "ep_size": 1, "fuse_cross_entropy": True, "initializer_range": 0.02,
        "max_position_embeddings": 32768, "max_window_layers": 28, "micro_forward": False, "rope_scaling": None,
        "skip_checkpoint": False, "sliding_window": None, "torch_dtype": "bfloat16", "use_cache": False,
        "use_deepep": False, "use_sliding_window": False,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configs_load(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path, name)
    (folder / "config.json").write_text(json.dumps(TINY_CONFIGS[name] | PUBLISHED[name]))
    assert models.load(folder, dtype="float32")(IDS).logits.isfinite().all()


@pytest.mark.parametrize(
    ("name", "more", "expected"),
    [
        ("sdar", {"rope_parameters": {"rope_theta": 5.0}}, "rope_theta is 10000.0"),
        (
            "sdar",
            {"rope_scaling": {"type": "linear", "factor": 2.0, "llama_4_scaling_beta": 0.1}},
            "llama_4_scaling_beta",
        ),
        ("sdar", {"rope_scaling": {"type": "default", "mrope_section": [1, 2, 2]}}, "mrope_section"),
        ("sdar", {"rope_scaling": {"type": "default", "partial_rotary_factor": 0.5}}, "partial_rotary_factor of 1"),
        ("llada2", {"rope_scaling": {"type": "default", "partial_rotary_factor": 1.0}}, "partial_rotary_factor is 0.5"),
    ],
)
def test_rotary_positions_that_are_not_read_are_refused(tmp_path: Path, name: str, more: Any, expected: str) -> None:
    folder = written(tmp_path, name)
    (folder / "config.json").write_text(json.dumps(TINY_CONFIGS[name] | more))
    with pytest.raises(ValueError, match=re.escape(expected)) as error:
        models.load(folder)
    assert "\n" not in str(error.value)


def test_share_of_a_head_that_turns_is_found_in_either_place(tmp_path: Path) -> None:
    folder = written(tmp_path, "llada2")
    outside = models.load(folder)(IDS).logits
    inside = {"partial_rotary_factor": None, "rope_scaling": {"type": "default", "partial_rotary_factor": 0.5}}
    (folder / "config.json").write_text(json.dumps(TINY_CONFIGS["llada2"] | inside))
    assert torch.equal(models.load(folder)(IDS).logits, outside)


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
