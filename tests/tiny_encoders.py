"""Every masked language model of transformers, tiny: built from its config class, with random weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

#: Tokens; the last is the mask.
VOCABULARY, PAD, MASK = 40, 1, 39
#: Positions that the config asks for; models that keep some for themselves have fewer.
POSITIONS = 48
#: Values for whichever of these keys a config class has.
SMALL: dict[str, Any] = {
    "vocab_size": VOCABULARY, "pad_token_id": PAD, "bos_token_id": 0, "eos_token_id": 2, "cls_token_id": 0,
    "sep_token_id": 2, "mask_token_id": MASK,
    "hidden_size": 16, "embedding_size": 16, "d_model": 16, "dim": 16, "emb_dim": 16, "d_latents": 16,
    "num_hidden_layers": 2, "n_layers": 2, "encoder_layers": 2, "decoder_layers": 2, "num_self_attends_per_block": 2,
    "num_attention_heads": 2, "n_heads": 2, "n_head": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "num_key_value_heads": 2, "num_self_attention_heads": 2, "num_cross_attention_heads": 2, "head_dim": 8, "d_head": 8,
    "intermediate_size": 24, "hidden_dim": 24, "d_inner": 24, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24,
    "prediction_head_size": 16, "embedding_rank": 8, "embedding_dim": 16, "num_latents": 8,
    "max_position_embeddings": POSITIONS,
}  # fmt: skip
_TEXT = {**SMALL, "global_attn_every_n_layers": 1}
_IMAGE = {"model_type": "siglip_vision_model", "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
          "num_attention_heads": 2, "image_size": 32, "patch_size": 16}  # fmt: skip
#: More for single architectures, by model type.
_MORE: dict[str, dict[str, Any]] = {
    "layoutlm": {"max_2d_position_embeddings": 32},
    "longformer": {"attention_window": 8},
    "luke": {"entity_vocab_size": 4, "entity_emb_size": 8},
    "mobilebert": {"intra_bottleneck_size": 8, "true_hidden_size": 8},
    "neomme": {"head_dim": 16},
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "reformer": {
        "axial_pos_embds": False, "attention_head_size": 8, "feed_forward_size": 24, "lsh_attn_chunk_length": 8,
        "local_attn_chunk_length": 8, "attn_layers": ["local", "lsh"], "num_buckets": 4,
    },
    "rembert": {"input_embedding_size": 16, "output_embedding_size": 16},
    "roc_bert": {
        "pronunciation_vocab_size": 4, "shape_vocab_size": 4, "pronunciation_embed_dim": 8, "shape_embed_dim": 8,
    },
    "modernvbert": {"text_config": {**_TEXT, "model_type": "modernbert"}, "vision_config": _IMAGE},
    "ultravbert": {"text_config": {**_TEXT, "model_type": "ultrabert"}, "vision_config": _IMAGE},
}  # fmt: skip


def architectures() -> dict[str, tuple[Any, Any]]:
    """Model type → config class and model class, of all that `AutoModelForMaskedLM` can be in this transformers."""
    from transformers import MODEL_FOR_MASKED_LM_MAPPING

    classes = {}
    for config_class, model_class in MODEL_FOR_MASKED_LM_MAPPING.items():
        first = model_class[0] if isinstance(model_class, tuple) else model_class
        classes[config_class.model_type] = config_class, first
    return classes


def tiny(model_type: str, seed: int = 0) -> Any:
    """A model of a few thousand weights (100,000 at most), in eval mode; large weights, so that every mistake shows."""
    config_class, model_class = architectures()[model_type]
    keys = {field.name for field in dataclasses.fields(config_class)}
    values = {key: value for key, value in SMALL.items() if key in keys} | _MORE.get(model_type, {})
    torch.manual_seed(seed)
    model = model_class(config_class(**values)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # RoFormer's angles are no weights, and stop being angles if they are drawn.
            if parameter.dim() > 1 and "embed_positions" not in name:
                parameter.normal_(std=0.3)
        for module in model.modules():
            # As transformers makes them, and leaves them in training.
            if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
                module.weight[module.padding_idx] = 0
    return model
