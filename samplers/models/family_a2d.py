"""A2D of dLLM (arXiv 2602.22661): autoregressive models made diffusion models, on Qwen3's, Qwen2's or Llama's blocks.

Two kinds share model type, architecture and every key of the config: "mdlm" sees everything, "bd3lm" is block-causal
with blocks counted from the first token. Which one a checkpoint is stands in its name alone (Qwen3-0.6B-diffusion-
bd3lm-v0.1), so a copy under another name has to say it: `"diffusion": "mdlm"` or `"bd3lm"` in config.json.

Read: modelling files and samplers in the public repository dllm (`pipelines/a2d`), and the card of
Qwen2.5-Coder-0.5B-Instruct-diffusion-bd3lm-v0.1, whose sampler shows the blocks: transformers' own blocks with another
mask, row i of the logits for token i. The mask token is the tokenizer's `<|mask|>`.
"""

from __future__ import annotations

from .configuration import CheckpointConfig
from .family import Attention, Blueprint, Family, PublishedCheckpoint
from .standard import QWEN, WINDOW_KEYS, dense_config, wide_config

_BLOCKS = {"a2d-qwen3": "qwen3", "a2d-qwen2": "qwen2", "a2d-llama": "llama"}
_ATTENTIONS: dict[str, Attention] = {"mdlm": "full", "bd3lm": "block_causal"}


def attention(config: CheckpointConfig) -> Attention:
    """What a token sees, by the config's key `diffusion` or, without it, by the checkpoint's name.

    Raises:
        ValueError: neither says which kind this is.
    """
    kind = config.get("diffusion")
    if kind is None:
        # The last part alone: folders above may be called anything.
        names = [config.source.removesuffix("/config.json"), str(config.get("_name_or_path", ""))]
        last = [name.rstrip("/").rpartition("/")[2].lower() for name in names]
        kinds = [kind for kind in _ATTENTIONS if any(f"-{kind}" in name for name in last)]
        if len(kinds) != 1:
            raise ValueError(
                f"{config.source}: nothing says whether this A2D model sees everything (mdlm) or is block-causal "
                '(bd3lm), neither its name nor its config; add "diffusion": "mdlm" or "bd3lm" to a copy of the file'
            )
        return _ATTENTIONS[kinds[0]]
    if kind not in _ATTENTIONS:
        raise config.refusal("diffusion", "'mdlm' or 'bd3lm'")
    return _ATTENTIONS[kind]


def blueprint(config: CheckpointConfig) -> Blueprint:
    """The keys are those of the blocks; `block_size`, where there is one, is the length of a block."""
    blocks = _BLOCKS[config.require("model_type")]
    config.only("mlp_bias", False)
    seen = attention(config)
    return Blueprint(
        blocks=blocks,
        config=(dense_config if blocks == "qwen2" else wide_config)(config),
        table=QWEN,
        tied=config.get("tie_word_embeddings"),
        attention=seen,
        block_length=config.count("block_size", 32) if seen == "block_causal" else None,
    )


FAMILY = Family(
    name="A2D",
    model_types=tuple(_BLOCKS),
    architectures=("A2DQwen3LMHeadModel", "A2DQwen2LMHeadModel", "A2DLlamaLMHeadModel"),
    attention="full",
    raw_attention=attention,
    mask_token_id=None,
    eos_token_id=None,
    stop_token_ids=(),
    vocab_size=None,
    block_length=None,
    paper="arXiv 2602.22661",
    checked="dense float64, after dllm's",
    checkpoints=(
        PublishedCheckpoint("dllm-hub/Qwen3-0.6B-diffusion-mdlm-v0.1", 0.6),
        PublishedCheckpoint("dllm-hub/Qwen3-0.6B-diffusion-bd3lm-v0.1", 0.6),
        PublishedCheckpoint("dllm-hub/Qwen2.5-Coder-0.5B-Instruct-diffusion-mdlm-v0.1", 0.5),
        PublishedCheckpoint(
            "dllm-hub/Qwen2.5-Coder-0.5B-Instruct-diffusion-bd3lm-v0.1", 0.5, "apache-2.0", "model card, as copied"
        ),
    ),
    harmless_keys=WINDOW_KEYS,
    blueprint=blueprint,
)
