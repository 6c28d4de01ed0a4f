"""Nemotron-Labs-Diffusion (arXiv 2607.05722): Ministral 3's blocks; what is decided is causal, the open block is not.

Its own sampler has two modes. In the one it starts in, and which is computed here, the prompt and every finished block
are encoded causally, and the block that is being decoded sees itself and all that is before it. In the other
(`causal_context=False`) finished blocks see themselves too. In both the blocks are counted from the end of the prompt.

Two things of that sampler are not done: it takes the first token of each block from the causal head, at the end of the
block before, where here the block's own head decides all of its tokens; and it can check drafts causally.

Read: its own modelling file in a public copy, the plugin in mlx-vlm, and transformers' Ministral 3, which scales
queries far behind position 16384 by `llama_4_scaling_beta`. Row i of the logits describes token i.
"""

from __future__ import annotations

from .configuration import CheckpointConfig
from .family import Blueprint, Family, PublishedCheckpoint
from .key_table import Expert, Rows
from .standard import ATTENTION, DENSE, NORMS, decoder_config

_LICENCE = "nvidia"
_WHERE = "model card, November 2026"
TABLE: dict[str, str | Rows | Expert] = {
    "encoder.embed_tokens.weight": "model.embed_tokens.weight",
    **{name.replace("model.", "encoder.", 1): rule for name, rule in (ATTENTION | NORMS | DENSE).items()},
    "encoder.norm.weight": "model.norm.weight",
    "diffusion_head.weight": "lm_head.weight",
}


def blueprint(config: CheckpointConfig) -> Blueprint:
    """The keys are Ministral 3's; `dlm_paradigm` says how it was trained, and "autoregressive" is another model."""
    config.only("dlm_paradigm", "bidirectional", "block_diff")
    config.only("attention_bias", False)
    config.only("mlp_bias", False)
    if config.get("sliding_window") is not None:
        raise config.refusal("sliding_window", "null")
    decoder = decoder_config(config, rope_keys=("llama_4_scaling_beta", "max_position_embeddings"))
    rope = decoder["rope_parameters"]
    for key in ("llama_4_scaling_beta", "original_max_position_embeddings"):
        value = rope.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise config.refusal("rope_parameters", f"an object whose {key} is a number")
    return Blueprint(
        blocks="ministral3",
        config=decoder
        | {
            "intermediate_size": config.count("intermediate_size"),
            "head_dim": config.count("head_dim"),
            "sliding_window": None,
        },
        table=TABLE,
        tied=config.get("tie_word_embeddings"),
        block_length=config.count("block_size", 32),
    )


FAMILY = Family(
    name="Nemotron-Labs",
    model_types=("nemotron_labs_diffusion",),
    architectures=("NemotronLabsDiffusionModel",),
    attention="causal_context",
    mask_token_id=100,
    eos_token_id=2,
    stop_token_ids=(2, 11),
    vocab_size=131072,
    block_length=32,
    paper="arXiv 2607.05722",
    checked="dense float64, after its makers' code",
    checkpoints=(
        PublishedCheckpoint("nvidia/Nemotron-Labs-Diffusion-3B", 3.8, _LICENCE, _WHERE),
        PublishedCheckpoint("nvidia/Nemotron-Labs-Diffusion-8B", 8.5, _LICENCE, _WHERE),
        PublishedCheckpoint("nvidia/Nemotron-Labs-Diffusion-14B", 13.5, _LICENCE, _WHERE),
    ),
    # Weights of the losses, and what its own sampler does when nothing is said.
    harmless_keys=(
        *("dlm_loss_weight", "ar_loss_weight", "dp_varying_mask_ratio"),
        *("default_generation_mode", "default_diffusion_sampler", "default_diffusion_steps"),
        *("default_diffusion_threshold", "default_diffusion_min_threshold"),
        "default_diffusion_sampling_scaling_factor",
    ),
    blueprint=blueprint,
)
