"""Fast-dLLM v2 (arXiv 2509.26328): Qwen2's blocks, block-causal; row i predicts token i + 1."""

from __future__ import annotations

from .configuration import CheckpointConfig
from .family import Blueprint, Family, PublishedCheckpoint
from .standard import QWEN, WINDOW_KEYS, dense_config


def blueprint(config: CheckpointConfig) -> Blueprint:
    """The keys are Qwen2's; `bd_size` is the length of a block."""
    return Blueprint(
        blocks="qwen2",
        config=dense_config(config),
        table=QWEN,
        tied=config.get("tie_word_embeddings"),
        block_length=config.count("bd_size", 32),
    )


FAMILY = Family(
    name="Fast-dLLM v2",
    model_types=("Fast_dLLM_Qwen",),
    architectures=("Fast_dLLM_QwenForCausalLM",),
    attention="block_causal",
    mask_token_id=151665,
    eos_token_id=151645,
    stop_token_ids=(151645, 151643),
    vocab_size=152064,
    block_length=32,
    shift=1,
    paper="arXiv 2509.26328",
    checked="its makers' code",
    checkpoints=(
        PublishedCheckpoint(
            "Efficient-Large-Model/Fast_dLLM_v2_1.5B", 1.5, "apache-2.0", "model card, revision da56081"
        ),
        PublishedCheckpoint("Efficient-Large-Model/Fast_dLLM_v2_7B", 7.6, "apache-2.0", "model card, revision 0858c80"),
    ),
    harmless_keys=WINDOW_KEYS,
    blueprint=blueprint,
)
