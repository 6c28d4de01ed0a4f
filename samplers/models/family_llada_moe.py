"""LLaDA-MoE (arXiv 2509.24389): Qwen3's mixture-of-experts blocks, bidirectional; top-k weights as the softmax gave."""

from __future__ import annotations

from .configuration import CheckpointConfig
from .family import Blueprint, Family, PublishedCheckpoint
from .standard import QWEN_MOE, decoder_config, head_size


def blueprint(config: CheckpointConfig) -> Blueprint:
    """Keys close to OLMoE's, but queries and keys are normed per head."""
    config.only("qk_layernorm", True)
    if config.get("clip_qkv") is not None:
        raise config.refusal("clip_qkv", "null")
    if config.get("shared_expert_intermediate_size") is not None:
        raise config.refusal("shared_expert_intermediate_size", "null")
    config.only("routed_scaling_factor", 1)
    config.only("moe_router_score_function", "softmax")
    config.only("moe_router_enable_expert_bias", False)
    config.only("norm_topk_prob", False)
    for key in ("router_num_group", "router_topk_group"):
        config.only(key, 1)
    frequencies = config.require("moe_layer_freq")
    if not isinstance(frequencies, list):
        raise config.refusal("moe_layer_freq", "a list with an entry per layer")
    dense = [layer for layer, sparse in enumerate(frequencies) if sparse == 0]
    expert_width, experts = config.count("expert_intermediate_size"), config.count("num_experts")
    return Blueprint(
        blocks="qwen3_moe",
        config=decoder_config(config)
        | {
            "head_dim": head_size(config),
            "attention_bias": config.flag("attention_bias", False),
            "intermediate_size": config.count("dense_intermediate_size") if dense else expert_width,
            "moe_intermediate_size": expert_width,
            "num_experts": experts,
            "num_experts_per_tok": config.at_most("num_experts_per_tok", experts),
            "mlp_only_layers": dense,
            "decoder_sparse_step": 1,
            "norm_topk_prob": False,
        },
        table=QWEN_MOE,
        tied=config.get("tie_word_embeddings"),
    )


FAMILY = Family(
    name="LLaDA-MoE",
    # The dense family's model type: the architecture tells them apart.
    model_types=("llada",),
    architectures=("LLaDAMoEModelLM",),
    attention="full",
    mask_token_id=156895,
    eos_token_id=156892,
    stop_token_ids=(156892,),
    vocab_size=157184,
    block_length=None,
    own_key="num_experts",
    paper="arXiv 2509.24389",
    checked="its makers' code",
    checkpoints=(
        PublishedCheckpoint(
            "inclusionAI/LLaDA-MoE-7B-A1B-Instruct", 7.4, "apache-2.0", "model card, proposed revision 73cbca4"
        ),
        PublishedCheckpoint("inclusionAI/LLaDA-MoE-7B-A1B-Base", 7.4, "apache-2.0", "model card, revision 25d89c2"),
    ),
    # A width that counts only where a layer is dense.
    harmless_keys=("dense_intermediate_size",),
    blueprint=blueprint,
)
