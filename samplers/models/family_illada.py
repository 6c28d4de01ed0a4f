"""iLLaDA (arXiv 2606.25331): Llama's blocks under Llama's names, with bidirectional attention.

Read, in a public copy of the checkpoint's own modelling file: the names of the tensors, RMS norms, rotary positions
without scaling, the head tied to the embedding, and that row i of the logits describes token i. Not read: the config's
`model_type`, so the architecture decides; and no file of the checkpoint names the mask token, whose id 5 stands in its
README.
"""

from __future__ import annotations

from .configuration import CheckpointConfig
from .family import Blueprint, Family, PublishedCheckpoint
from .standard import QWEN, wide_config


def blueprint(config: CheckpointConfig) -> Blueprint:
    """The keys are Llama's, and some that choose what this family does not use."""
    config.only("mlp_bias", False)
    if config.get("layer_norm_eps") is not None:
        raise config.refusal("layer_norm_eps", "null: the norms are RMS norms")
    return Blueprint(
        blocks="llama",
        config=wide_config(config),
        table=QWEN,
        tied=config.get("tie_word_embeddings"),
    )


FAMILY = Family(
    name="iLLaDA",
    model_types=("illada",),
    architectures=("ILLaDAForCausalLM",),
    by_architecture=True,
    attention="full",
    mask_token_id=5,
    eos_token_id=None,
    stop_token_ids=(),
    vocab_size=155136,
    block_length=None,
    paper="arXiv 2606.25331",
    checked="dense float64, after its makers' code",
    checkpoints=(
        PublishedCheckpoint("GSAI-ML/iLLaDA-8B-Instruct", 7.6, "apache-2.0", "model card, November 2026"),
        PublishedCheckpoint("GSAI-ML/iLLaDA-8B-Base", 7.6, "apache-2.0", "model card, November 2026"),
    ),
    # Dropout, which evaluation does without.
    harmless_keys=("resid_pdrop",),
    blueprint=blueprint,
)
