"""LLaDA2.x (arXiv 2512.15745): GLM-4's mixture-of-experts blocks, block-causal."""

from __future__ import annotations

from .configuration import CheckpointConfig
from .family import Blueprint, Family, PublishedCheckpoint
from .key_table import Expert, Rows
from .standard import DENSE, EXPERTS, NORMS, OUTPUT, WINDOW_KEYS, dense_config, head_size

_LAYER = "model.layers.{i}."
_QKV = tuple(_LAYER + f"self_attn.{name}_proj" for name in "qkv")
_OWN: dict[str, str | Rows | Expert] = {
    "model.word_embeddings.weight": "model.embed_tokens.weight",
    _LAYER + "attention.query_key_value.weight": Rows(tuple(f"{name}.weight" for name in _QKV)),
    _LAYER + "attention.query_key_value.bias": Rows(tuple(f"{name}.bias" for name in _QKV)),
    _LAYER + "attention.query_layernorm.weight": _LAYER + "self_attn.q_norm.weight",
    _LAYER + "attention.key_layernorm.weight": _LAYER + "self_attn.k_norm.weight",
    _LAYER + "attention.dense.weight": _LAYER + "self_attn.o_proj.weight",
    _LAYER + "mlp.gate.weight": _LAYER + "mlp.gate.weight",
    _LAYER + "mlp.gate.expert_bias": _LAYER + "mlp.gate.e_score_correction_bias",
}
_SHARED_EXPERTS: dict[str, str | Rows | Expert] = {
    f"{_LAYER}mlp.shared_experts.{name}_proj.weight": f"{_LAYER}mlp.shared_experts.{name}_proj.weight"
    for name in ("gate", "up", "down")
}
TABLE = _OWN | _SHARED_EXPERTS | NORMS | DENSE | EXPERTS | OUTPUT


def blueprint(config: CheckpointConfig) -> Blueprint:
    """Keys of the Ling family: a sigmoid router with groups and a bias, partial rotary positions, fused projections."""
    config.only("score_function", "sigmoid")
    config.only("norm_head", False)
    config.only("norm_topk_prob", True)
    config.only("moe_router_enable_expert_bias", True)
    config.only("use_bias", False)
    config.only("use_rmsnorm", True)
    config.only("norm_softmax", False)
    config.only("using_split_qkv_in_self_attention", False)
    config.only("num_nextn_predict_layers", 0)
    # Glm4's router computes in float32, whatever the dtype of the network.
    config.only("router_dtype", "fp32", "float32")
    width = config.count("moe_intermediate_size")
    config.only("moe_shared_expert_intermediate_size", width)
    decoder = dense_config(config, partial_rotary=True)
    partial = decoder["rope_parameters"]["partial_rotary_factor"]
    config.only("rotary_dim", int(head_size(config) * partial))
    experts, groups = config.count("num_experts"), config.count("n_group")
    if experts % groups:
        raise config.refusal("n_group", f"a divisor of the {experts} experts")
    dense = config.require("first_k_dense_replace")
    if dense != 0:
        dense = config.count("first_k_dense_replace")
    return Blueprint(
        blocks="glm4_moe",
        config=decoder
        | {
            "head_dim": head_size(config),
            "attention_bias": config.flag("use_qkv_bias", False),
            "use_qk_norm": config.flag("use_qk_norm", True),
            "partial_rotary_factor": partial,
            "moe_intermediate_size": width,
            "n_routed_experts": experts,
            "n_shared_experts": config.count("num_shared_experts"),
            "num_experts_per_tok": config.at_most("num_experts_per_tok", experts),
            "n_group": groups,
            "topk_group": config.at_most("topk_group", groups),
            "routed_scaling_factor": config.number("routed_scaling_factor"),
            "first_k_dense_replace": dense,
            "norm_topk_prob": True,
        },
        table=TABLE,
        tied=config.get("tie_word_embeddings"),
        block_length=config.count("block_size", 32),
    )


FAMILY = Family(
    name="LLaDA2.x",
    model_types=("llada2_moe",),
    architectures=("LLaDA2MoeModelLM",),
    attention="block_causal",
    mask_token_id=156895,
    eos_token_id=156892,
    stop_token_ids=(156892,),
    vocab_size=157184,
    block_length=32,
    paper="arXiv 2512.15745",
    checkpoints=(
        PublishedCheckpoint("inclusionAI/LLaDA2.0-mini", 16.3, "apache-2.0", "licence tag on its page"),
        PublishedCheckpoint("inclusionAI/LLaDA2.0-flash", 103.0, "apache-2.0", "licence tag on its page"),
        PublishedCheckpoint("inclusionAI/LLaDA2.1-mini", 16.3, "apache-2.0", "licence tag on its page"),
        PublishedCheckpoint("inclusionAI/LLaDA2.1-flash", 103.0, "apache-2.0", "licence tag on its page"),
    ),
    harmless_keys=(*WINDOW_KEYS, "mtp_loss_scaling_factor"),
    blueprint=blueprint,
)
