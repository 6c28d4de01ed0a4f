"""DreamReasoner (arXiv 2606.19257): Qwen3's blocks, block-causal; of Dream it has the model type, and not the shift.

Its config says `model_type: Dream`, as Dream-7B's does: the architecture tells them apart, DreamForCausalLM here and
DreamModel there, and where a config names none, the key `block_size`. Its own code was not at hand: Qwen3's blocks, of
32 tokens, and the mask token are as its card and config have them, and that row i of the logits describes token i is as
a public serving engine takes it, whose sampler for this model does not shift.
"""

from __future__ import annotations

from .configuration import CheckpointConfig
from .family import Blueprint, Family, PublishedCheckpoint
from .standard import QWEN, WINDOW_KEYS, wide_config


def blueprint(config: CheckpointConfig) -> Blueprint:
    """The keys are Qwen3's; `block_size` is the length of a block."""
    config.only("use_mrope", False)
    return Blueprint(
        blocks="qwen3",
        config=wide_config(config),
        table=QWEN,
        tied=config.get("tie_word_embeddings"),
        block_length=config.count("block_size", 32),
    )


FAMILY = Family(
    name="DreamReasoner",
    model_types=("Dream",),
    architectures=("DreamForCausalLM",),
    own_key="block_size",
    attention="block_causal",
    mask_token_id=151669,
    eos_token_id=151643,
    stop_token_ids=(151643, 151645),
    vocab_size=151936,
    block_length=32,
    paper="arXiv 2606.19257",
    checked="dense float64, after its card",
    checkpoints=(PublishedCheckpoint("Dream-org/DreamReasoner-8B", 8.2, "apache-2.0", "model card, November 2026"),),
    harmless_keys=WINDOW_KEYS,
    blueprint=blueprint,
)
