"""The reference model of ParallelBench: Qwen3's blocks; the prompt sees itself, the answer sees everything."""

from __future__ import annotations

from .configuration import CheckpointConfig
from .family import Blueprint, Family
from .standard import QWEN, wide_config


def blueprint(config: CheckpointConfig) -> Blueprint:
    """The keys are Qwen3's, with `mask_token_id` and `answer_start_token_id`."""
    config.require("mask_token_id")
    config.require("answer_start_token_id")
    return Blueprint(
        blocks="qwen3",
        config=wide_config(config),
        table=QWEN,
        tied=config.get("tie_word_embeddings"),
        block_length=None if config.get("block_length") is None else config.count("block_length"),
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
    checked="dense float64",
    # What transformers' AutoTokenizer takes for the config instead of warning that it does not know the model type.
    harmless_keys=("without_a_model",),
    blueprint=blueprint,
)
