"""The reference model of ParallelBench: Qwen3's blocks; the prompt sees itself, the answer sees everything."""

from __future__ import annotations

from .configuration import CheckpointConfig
from .family import Blueprint, Family
from .standard import QWEN, decoder_config


def blueprint(config: CheckpointConfig) -> Blueprint:
    """The keys are Qwen3's, with `mask_token_id` and `answer_start_token_id`."""
    config.require("mask_token_id")
    config.require("answer_start_token_id")
    settings = decoder_config(config)
    head_dim = config.get("head_dim", settings["hidden_size"] // settings["num_attention_heads"])
    return Blueprint(
        blocks="qwen3",
        config=settings | {"head_dim": head_dim, "attention_bias": config.get("attention_bias", False)},
        table=QWEN,
        tied=config.get("tie_word_embeddings"),
        block_length=config.get("block_length"),
    )


FAMILY = Family(
    name="ParallelBench reference model",
    model_types=("parallelbench",),
    architectures=(),
    attention="prompt_first",
    mask_token_id=None,
    eos_token_id=None,
    stop_token_ids=(),
    vocab_size=None,
    block_length=None,
    paper="",
    blueprint=blueprint,
)
