"""SDAR and TraDo (arXiv 2510.06303, 2509.06949): Qwen3's blocks, block-causal."""

from __future__ import annotations

from .configuration import CheckpointConfig
from .family import Blueprint, Family, PublishedCheckpoint
from .standard import QWEN, WINDOW_KEYS, dense_config


def blueprint(config: CheckpointConfig) -> Blueprint:
    """The keys are Qwen3's, beside what training left behind; `block_size` is the length of a block."""
    if config.get("num_experts") is not None:
        raise config.refusal("num_experts", "null: of SDAR's models only the dense ones are built here")
    return Blueprint(
        blocks="qwen3",
        # Heads need not add up to the width, so their size cannot be guessed.
        config=dense_config(config)
        | {
            "head_dim": config.count("head_dim"),
            "attention_bias": config.flag("attention_bias", False),
        },
        table=QWEN,
        tied=config.get("tie_word_embeddings"),
        block_length=config.count("block_size", 4),
    )


FAMILY = Family(
    name="SDAR, TraDo",
    model_types=("sdar",),
    architectures=("SDARForCausalLM",),
    attention="block_causal",
    mask_token_id=151669,
    eos_token_id=151643,
    stop_token_ids=(151643, 151645),
    vocab_size=151936,
    block_length=4,
    paper="arXiv 2510.06303",
    checked="its makers' code",
    checkpoints=(
        PublishedCheckpoint("JetLM/SDAR-1.7B-Chat", 2.0, "apache-2.0", "licence tag on its page"),
        PublishedCheckpoint("JetLM/SDAR-4B-Chat", 4.4, "apache-2.0", "licence tag on its page"),
        PublishedCheckpoint("JetLM/SDAR-8B-Chat", 8.2, "apache-2.0", "licence tag on its page"),
        PublishedCheckpoint("Gen-Verse/TraDo-4B-Instruct", 4.4, "mit", "model card, revision d350259"),
        PublishedCheckpoint("Gen-Verse/TraDo-8B-Instruct", 8.2, "mit", "model card, revision ac1d5b6"),
        PublishedCheckpoint("Gen-Verse/TraDo-8B-Thinking", 8.2, chat_options=(("enable_thinking", False),)),
    ),
    # How the training was spread out and sped up.
    harmless_keys=(
        *WINDOW_KEYS,
        *("debug", "ep_size", "fuse_cross_entropy", "micro_forward", "skip_checkpoint", "use_deepep"),
    ),
    blueprint=blueprint,
)
