"""Stable-DiffCoder (arXiv 2601.15892): Llama's blocks, block-causal from the first token of the prompt on.

Read, in a public copy of the checkpoint's own modelling file: it is transformers' Llama under a block-causal mask;
blocks of 4 are counted from position 0, so that the end of the prompt and the first answer tokens share a block; row i
of the logits describes token i; the mask token is 5. Its config says `model_type: llama`, as a causal model's does, so
the architecture alone tells it apart.
"""

from __future__ import annotations

from .configuration import CheckpointConfig
from .family import Blueprint, Family, PublishedCheckpoint
from .standard import QWEN, wide_config


def blueprint(config: CheckpointConfig) -> Blueprint:
    """The keys are Llama's; `block_size`, where there is one, is the length of a block."""
    config.only("mlp_bias", False)
    return Blueprint(
        blocks="llama",
        config=wide_config(config),
        table=QWEN,
        tied=config.get("tie_word_embeddings"),
        block_length=config.count("block_size", 4),
    )


FAMILY = Family(
    name="Stable-DiffCoder",
    model_types=("llama",),
    architectures=("StableDiffcoderForCausalLM",),
    by_architecture=True,
    attention="block_causal",
    mask_token_id=5,
    eos_token_id=None,
    stop_token_ids=(),
    vocab_size=155136,
    block_length=4,
    paper="arXiv 2601.15892",
    checked="dense float64, after its makers' code",
    checkpoints=(
        PublishedCheckpoint(
            "ByteDance-Seed/Stable-DiffCoder-8B-Instruct", 8.3, "mit", "head of its modelling file, as copied"
        ),
        PublishedCheckpoint("ByteDance-Seed/Stable-DiffCoder-8B-Base", 8.3, "mit", "head of its modelling file"),
    ),
    blueprint=blueprint,
)
