"""What the families that keep transformers' own names and keys have in common."""

from __future__ import annotations

from typing import Any

from .configuration import CheckpointConfig
from .key_table import Expert, Rows

EMBEDDING: dict[str, str | Rows | Expert] = {"model.embed_tokens.weight": "model.embed_tokens.weight"}
OUTPUT: dict[str, str | Rows | Expert] = {"model.norm.weight": "model.norm.weight", "lm_head.weight": "lm_head.weight"}
ATTENTION: dict[str, str | Rows | Expert] = {
    f"model.layers.{{i}}.self_attn.{name}": f"model.layers.{{i}}.self_attn.{name}"
    for name in (
        *(f"{projection}_proj.{kind}" for projection in "qkvo" for kind in ("weight", "bias")),
        "q_norm.weight",
        "k_norm.weight",
    )
}
NORMS: dict[str, str | Rows | Expert] = {
    f"model.layers.{{i}}.{name}.weight": f"model.layers.{{i}}.{name}.weight"
    for name in ("input_layernorm", "post_attention_layernorm")
}
DENSE: dict[str, str | Rows | Expert] = {
    f"model.layers.{{i}}.mlp.{name}_proj.weight": f"model.layers.{{i}}.mlp.{name}_proj.weight"
    for name in ("gate", "up", "down")
}
EXPERTS: dict[str, str | Rows | Expert] = {
    "model.layers.{i}.mlp.experts.{e}.gate_proj.weight": Expert("model.layers.{i}.mlp.experts.gate_up_proj", 0, 2),
    "model.layers.{i}.mlp.experts.{e}.up_proj.weight": Expert("model.layers.{i}.mlp.experts.gate_up_proj", 1, 2),
    "model.layers.{i}.mlp.experts.{e}.down_proj.weight": Expert("model.layers.{i}.mlp.experts.down_proj"),
}
#: Keys of Qwen's configs that say something only where `use_sliding_window` is true, which is refused.
WINDOW_KEYS = ("sliding_window", "max_window_layers")
#: Names of Qwen3-MoE, a layer of which has experts or an MLP.
ROUTER: dict[str, str | Rows | Expert] = {"model.layers.{i}.mlp.gate.weight": "model.layers.{i}.mlp.gate.weight"}
#: Qwen2's and Qwen3's names; a row whose parameter a network does not have (a bias, a norm) does not count.
QWEN = EMBEDDING | ATTENTION | NORMS | DENSE | OUTPUT
QWEN_MOE = EMBEDDING | ATTENTION | NORMS | ROUTER | DENSE | EXPERTS | OUTPUT


def decoder_config(
    config: CheckpointConfig, *, partial_rotary: bool = False, rope_keys: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The keys that all of transformers' decoders share but the widths of MLPs, named as transformers does.

    Args:
        config: of the checkpoint.
        partial_rotary: whether the blocks can turn a part of each head alone.
        rope_keys: as `more` of `CheckpointConfig.rope_parameters`.

    Raises:
        ValueError: a key is missing, or asks for what the blocks cannot express.
    """
    config.only("hidden_act", "silu")
    config.only("use_sliding_window", False)
    kinds = config.get("layer_types", [])
    if not isinstance(kinds, list) or any(kind != "full_attention" for kind in kinds):
        raise config.refusal("layer_types", "'full_attention' for every layer")
    width, heads = config.count("hidden_size"), config.count("num_attention_heads")
    return {
        "vocab_size": config.count("vocab_size"),
        "hidden_size": width,
        "num_hidden_layers": config.count("num_hidden_layers"),
        "num_attention_heads": heads,
        "num_key_value_heads": config.count("num_key_value_heads", heads),
        "max_position_embeddings": config.count("max_position_embeddings", 32768),
        "rms_norm_eps": config.number("rms_norm_eps"),
        "rope_parameters": config.rope_parameters(partial=partial_rotary, more=rope_keys),
        "tie_word_embeddings": False,
        "attention_dropout": 0.0,
    }


def dense_config(config: CheckpointConfig, *, partial_rotary: bool = False) -> dict[str, Any]:
    """As `decoder_config`, with the width of the MLPs."""
    return decoder_config(config, partial_rotary=partial_rotary) | {
        "intermediate_size": config.count("intermediate_size")
    }


def wide_config(config: CheckpointConfig) -> dict[str, Any]:
    """As `dense_config`, of blocks whose heads need not add up to the width and whose projections may have biases."""
    return dense_config(config) | {
        "head_dim": head_size(config),
        "attention_bias": config.flag("attention_bias", False),
    }


def experts_config(config: CheckpointConfig) -> dict[str, Any]:
    """The keys of Qwen3-MoE's configs, as its blocks take them.

    Raises:
        ValueError: as `decoder_config`.
    """
    experts = config.count("num_experts")
    layers = config.get("mlp_only_layers", [])
    if not isinstance(layers, list):
        raise config.refusal("mlp_only_layers", "a list of layers")
    config.require("norm_topk_prob")
    return dense_config(config) | {
        "head_dim": config.count("head_dim"),
        "attention_bias": config.flag("attention_bias", False),
        "moe_intermediate_size": config.count("moe_intermediate_size"),
        "num_experts": experts,
        "num_experts_per_tok": config.at_most("num_experts_per_tok", experts),
        "norm_topk_prob": config.flag("norm_topk_prob", True),
        "decoder_sparse_step": config.count("decoder_sparse_step", 1),
        "mlp_only_layers": layers,
    }


def head_size(config: CheckpointConfig) -> int:
    """Width of a head: `head_dim`, or where it is not given, the width shared out among the heads."""
    return config.count("head_dim", config.count("hidden_size") // config.count("num_attention_heads"))
