"""Dream and DiffuCoder (arXiv 2508.15487, 2506.20639): Qwen2's blocks, bidirectional; row i predicts token i + 1."""

from __future__ import annotations

from .configuration import CheckpointConfig
from .family import Blueprint, Family, PublishedCheckpoint
from .standard import QWEN, WINDOW_KEYS, dense_config


def blueprint(config: CheckpointConfig) -> Blueprint:
    """The keys are Qwen2's."""
    config.only("use_mrope", False)
    return Blueprint(
        blocks="qwen2",
        config=dense_config(config),
        table=QWEN,
        tied=config.get("tie_word_embeddings"),
    )


FAMILY = Family(
    name="Dream, DiffuCoder",
    model_types=("Dream",),
    architectures=("DreamModel",),
    attention="full",
    mask_token_id=151666,
    eos_token_id=151643,
    stop_token_ids=(151643, 151645),
    vocab_size=152064,
    block_length=None,
    shift=1,
    paper="arXiv 2508.15487",
    checked="its makers' code",
    checkpoints=(
        PublishedCheckpoint(
            "Dream-org/Dream-v0-Instruct-7B", 7.6, "apache-2.0", "model card, as copied to autoprogrammer/dream_rcr"
        ),
        PublishedCheckpoint("Dream-org/Dream-v0-Base-7B", 7.6),
        # Apple's licence for research: it allows no other use, of the models or of what is made from them.
        PublishedCheckpoint("apple/DiffuCoder-7B-Base", 7.6, "apple-amlr", "model card, revision a2c3305"),
        PublishedCheckpoint("apple/DiffuCoder-7B-Instruct", 7.6, "apple-amlr", "model card, revision 4fdd458"),
        PublishedCheckpoint("apple/DiffuCoder-7B-cpGRPO", 7.6, "apple-amlr", "model card, revision 98bc42b"),
        # Tunes: a coder with Dream's architecture, and two for decoding in parallel.
        PublishedCheckpoint("Dream-org/Dream-Coder-v0-Instruct-7B", 7.6),
        PublishedCheckpoint("Dream-org/Dream-Coder-v0-Base-7B", 7.6),
        PublishedCheckpoint("d3LLM/d3LLM_Dream", 7.6),
        PublishedCheckpoint("d3LLM/d3LLM_Dream_Coder", 7.6),
        PublishedCheckpoint("Zigeng/dParallel_Dream_7B_Instruct", 7.6),
    ),
    harmless_keys=WINDOW_KEYS,
    blueprint=blueprint,
)
