"""SDAR's mixture of experts (arXiv 2510.06303): Qwen3-MoE's blocks, block-causal.

Read: the implementations in the packages sglang 0.5.23 and lmdeploy 0.18.0 (`models/sdar_moe.py` in both): Qwen3-MoE
layer by layer, top-k of a softmax over all experts, whose weights are made to add up to 1 where `norm_topk_prob` says
so; blocks of 4, mask token 151669.
"""

from __future__ import annotations

from .configuration import CheckpointConfig
from .family import Blueprint, Family, PublishedCheckpoint
from .standard import QWEN_MOE, WINDOW_KEYS, experts_config


def blueprint(config: CheckpointConfig) -> Blueprint:
    """The keys are Qwen3-MoE's, beside what training left behind; `block_size` is the length of a block."""
    return Blueprint(
        blocks="qwen3_moe",
        config=experts_config(config),
        table=QWEN_MOE,
        tied=config.get("tie_word_embeddings"),
        block_length=config.count("block_size", 4),
    )


FAMILY = Family(
    name="SDAR-MoE",
    model_types=("sdar_moe",),
    architectures=("SDARMoeForCausalLM",),
    attention="block_causal",
    mask_token_id=151669,
    eos_token_id=151643,
    stop_token_ids=(151643, 151645),
    vocab_size=151936,
    block_length=4,
    paper="arXiv 2510.06303",
    checked="dense float64, after sglang's and lmdeploy's",
    checkpoints=(PublishedCheckpoint("JetLM/SDAR-30B-A3B-Chat", 30.5),),
    # How the training was spread out and sped up.
    harmless_keys=(
        *WINDOW_KEYS,
        *("debug", "ep_size", "fuse_cross_entropy", "micro_forward", "skip_checkpoint", "use_deepep"),
    ),
    blueprint=blueprint,
)
