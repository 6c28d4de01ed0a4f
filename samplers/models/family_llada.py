"""LLaDA 1.0 and 1.5 (arXiv 2502.09992, 2505.19223): Llama's blocks with bidirectional attention."""

from __future__ import annotations

from .configuration import CheckpointConfig
from .family import Blueprint, Family, PublishedCheckpoint

_BLOCK = "model.transformer.blocks.{i}."
TABLE = {
    "model.transformer.wte.weight": "model.embed_tokens.weight",
    _BLOCK + "attn_norm.weight": "model.layers.{i}.input_layernorm.weight",
    _BLOCK + "q_proj.weight": "model.layers.{i}.self_attn.q_proj.weight",
    _BLOCK + "k_proj.weight": "model.layers.{i}.self_attn.k_proj.weight",
    _BLOCK + "v_proj.weight": "model.layers.{i}.self_attn.v_proj.weight",
    _BLOCK + "q_proj.bias": "model.layers.{i}.self_attn.q_proj.bias",
    _BLOCK + "k_proj.bias": "model.layers.{i}.self_attn.k_proj.bias",
    _BLOCK + "v_proj.bias": "model.layers.{i}.self_attn.v_proj.bias",
    _BLOCK + "attn_out.weight": "model.layers.{i}.self_attn.o_proj.weight",
    _BLOCK + "ff_norm.weight": "model.layers.{i}.post_attention_layernorm.weight",
    _BLOCK + "ff_proj.weight": "model.layers.{i}.mlp.gate_proj.weight",
    _BLOCK + "up_proj.weight": "model.layers.{i}.mlp.up_proj.weight",
    _BLOCK + "ff_out.weight": "model.layers.{i}.mlp.down_proj.weight",
    "model.transformer.ln_f.weight": "model.norm.weight",
    "model.transformer.ff_out.weight": "lm_head.weight",
}


def blueprint(config: CheckpointConfig) -> Blueprint:
    """The keys come from a configurable code base, most of whose choices Llama's blocks do not know."""
    config.only("alibi", False)
    config.only("rope", True)
    # Llama's blocks turn queries and keys by angles in float32.
    config.only("rope_full_precision", True)
    config.only("block_type", "llama")
    config.only("layer_norm_type", "rms")
    config.only("activation_type", "silu")
    config.only("attention_layer_norm", False)
    config.only("layer_norm_with_affine", True)
    config.only("include_bias", False)
    config.only("bias_for_layer_norm", False)
    config.only("input_emb_norm", False)
    config.only("scale_logits", False)
    config.only("block_group_size", 1)
    width, heads = config.count("d_model"), config.count("n_heads")
    keys = 1 if config.flag("multi_query_attention", False) else heads
    return Blueprint(
        # Qwen2's blocks are Llama's with biases on queries, keys and values.
        blocks="qwen2" if config.flag("include_qkv_bias", False) else "llama",
        config={
            "vocab_size": config.count("embedding_size" if config.get("embedding_size") else "vocab_size"),
            "hidden_size": width,
            "intermediate_size": config.count("mlp_hidden_size")
            if config.get("mlp_hidden_size")
            else config.count("mlp_ratio") * width,
            "num_hidden_layers": config.count("n_layers"),
            "num_attention_heads": heads,
            "num_key_value_heads": config.count("n_kv_heads", keys),
            "max_position_embeddings": config.count("max_sequence_length", 4096),
            "rms_norm_eps": config.number("rms_norm_eps"),
            "rope_parameters": config.rope_parameters(),
            "tie_word_embeddings": False,
        },
        table=TABLE,
        tied=config.require("weight_tying"),
    )


FAMILY = Family(
    name="LLaDA",
    model_types=("llada",),
    architectures=("LLaDAModelLM",),
    attention="full",
    mask_token_id=126336,
    eos_token_id=126081,
    stop_token_ids=(126081, 126348),
    vocab_size=126464,
    block_length=None,
    paper="arXiv 2502.09992",
    checked="its makers' code",
    checkpoints=(
        PublishedCheckpoint("GSAI-ML/LLaDA-8B-Instruct", 8.0, "mit", "model card, revision 9275bf8"),
        PublishedCheckpoint("GSAI-ML/LLaDA-8B-Base", 8.0, "mit", "model card, revision ce71e3c"),
        # The two before are under mit, and so is LLaDA's code; that says nothing about this one.
        PublishedCheckpoint("GSAI-ML/LLaDA-1.5", 8.0),
        # Tunes of LLaDA-8B-Instruct for decoding in parallel.
        PublishedCheckpoint("d3LLM/d3LLM_LLaDA", 8.0),
        PublishedCheckpoint("Zigeng/dParallel-LLaDA-8B-instruct", 8.0),
    ),
    harmless_keys=(
        # Which kernel attends, and how the weights were drawn and trained.
        *("flash_attention", "flash_attn_varlen", "precision"),
        *("init_cutoff_factor", "init_device", "init_fn", "init_std"),
        # What other keys, read and restricted above, leave without effect.
        *("alibi_bias_max", "attention_layer_norm_with_affine", "mlp_ratio", "vocab_size", "tie_word_embeddings"),
    ),
    blueprint=blueprint,
)
