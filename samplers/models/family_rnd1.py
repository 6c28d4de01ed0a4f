"""RND1 (Radical Numerics, 2025): Qwen3-MoE's blocks, bidirectional; row i of the logits describes token i + 1.

Read: its own modelling, configuration and sampling files as copied into the public repository dllm
(`pipelines/rnd/models`). Its sampler takes row i for token i + 1, which its model card does not say.
"""

from __future__ import annotations

from .configuration import CheckpointConfig
from .family import Blueprint, Family, PublishedCheckpoint
from .standard import QWEN_MOE, WINDOW_KEYS, experts_config


def blueprint(config: CheckpointConfig) -> Blueprint:
    """The keys are Qwen3-MoE's; its own code gives every layer experts."""
    config.only("decoder_sparse_step", 1)
    if config.get("mlp_only_layers", []):
        raise config.refusal("mlp_only_layers", "empty")
    config.only("is_causal", False)
    return Blueprint(
        blocks="qwen3_moe",
        config=experts_config(config),
        table=QWEN_MOE,
        tied=config.get("tie_word_embeddings"),
    )


FAMILY = Family(
    name="RND1",
    model_types=("rnd1",),
    architectures=("RND1LM",),
    attention="full",
    mask_token_id=151669,
    eos_token_id=151645,
    stop_token_ids=(151645, 151643),
    vocab_size=151936,
    block_length=None,
    shift=1,
    paper="RND1 report, 2025",
    checked="dense float64, after its makers' code",
    checkpoints=(
        PublishedCheckpoint(
            "radicalnumerics/RND1-Base-0910", 30.5, "apache-2.0", "head of its modelling file, as copied to dllm"
        ),
    ),
    # Which kernel computes the experts, and how many steps its own sampler takes.
    harmless_keys=(*WINDOW_KEYS, "moe_backend", "num_diffusion_steps"),
    blueprint=blueprint,
)
