"""LLaDA2.x (arXiv 2512.15745): GLM-4's mixture-of-experts blocks, block-causal.

LLaDA2.2 has two things more. Its tokens choose their experts block by block, which is computed here, see
`samplers.models.block_routing`. And it may delete and insert tokens, by tokens that ask for it; that changes the length
of an answer, which nothing here can decode, so these two are never proposed, and loading says so. Read: `models/
llada2.py`, `dllm/config.py` and `dllm/algorithm/joint_threshold_indel.py` of the package sglang 0.5.23.
"""

from __future__ import annotations

import logging

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
logger = logging.getLogger(__name__)

#: Keys of the tokens that ask for a deletion and an insertion, and the ids of LLaDA2.2, whose config may be silent.
_EDITS = {"delete_token_id": 156930, "split_token_id": 156931}
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
    capacity = None
    if config.get("expert_capacity") is not None:
        capacity = config.at_most("expert_capacity", experts)
        if capacity < config.count("num_experts_per_tok"):
            raise config.refusal("expert_capacity", f"at least {config.count('num_experts_per_tok')}")
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
        expert_capacity=capacity,
        withheld_token_ids=_withheld(config, capacity is not None),
    )


def _withheld(config: CheckpointConfig, edits: bool) -> tuple[int, ...]:
    """Ids of the tokens that ask for a deletion or an insertion.

    Args:
        edits: whether this is a model that has them, of which the published vocabulary says where.
    """
    size = config.count("vocab_size")
    found = []
    for key, published in _EDITS.items():
        number = config.get(key, published if edits and size == FAMILY.vocab_size else None)
        if number is None:
            continue
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < size:
            raise config.refusal(key, f"a token id below {size}")
        found.append(number)
    if found:
        logger.warning(
            "%s: deleting and inserting tokens changes the length of an answer, which is not done here; "
            "the tokens that ask for it (%s) are never proposed",
            config.source,
            ", ".join(map(str, found)),
        )
    return tuple(found)


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
    checked="its makers' code; 2.2: dense float64, sglang's kernels",
    checkpoints=(
        PublishedCheckpoint("inclusionAI/LLaDA2.0-mini", 16.3, "apache-2.0", "licence tag on its page"),
        PublishedCheckpoint("inclusionAI/LLaDA2.0-flash", 103.0, "apache-2.0", "licence tag on its page"),
        PublishedCheckpoint("inclusionAI/LLaDA2.0-mini-CAP", 16.3),
        PublishedCheckpoint("inclusionAI/LLaDA2.0-flash-CAP", 103.0),
        PublishedCheckpoint("inclusionAI/LLaDA2.1-mini", 16.3, "apache-2.0", "licence tag on its page"),
        PublishedCheckpoint("inclusionAI/LLaDA2.1-flash", 103.0, "apache-2.0", "licence tag on its page"),
        PublishedCheckpoint("inclusionAI/LLaDA2.2-mini", 16.3, "apache-2.0", "model card, November 2026"),
        PublishedCheckpoint("inclusionAI/LLaDA2.2-flash", 103.0, "apache-2.0", "model card, November 2026"),
    ),
    harmless_keys=(*WINDOW_KEYS, "mtp_loss_scaling_factor"),
    blueprint=blueprint,
)
