"""A `DiffusionGemmaForBlockDiffusion` of a few thousand random weights."""

from typing import Any

import torch

VOCABULARY, CANVAS = 40, 6


def tiny_gemma(*, canvas: int = CANVAS, seed: int = 0, std: float = 0.4, **text: Any) -> Any:
    """In eval mode; a sliding layer that sees 8 tokens, a full one, experts in both."""
    from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion

    config = DiffusionGemmaConfig(
        text_config={
            "vocab_size": VOCABULARY, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "global_head_dim": 8,
            "num_global_key_value_heads": 1, "sliding_window": 8, "max_position_embeddings": 256,
            "layer_types": ["sliding_attention", "full_attention"], "num_experts": 4, "top_k_experts": 2,
            "moe_intermediate_size": 8, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, **text,
        },
        vision_config={
            "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
            "num_key_value_heads": 1, "head_dim": 8, "global_head_dim": 8,
        },
        image_token_id=VOCABULARY - 1, boi_token_id=VOCABULARY - 2, eoi_token_id=VOCABULARY - 3,
        canvas_length=canvas,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = DiffusionGemmaForBlockDiffusion(config).eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data = torch.randn(parameter.shape, generator=generator) * std
    return model.requires_grad_(False)


def save_gemma(directory: Any) -> Any:
    """The same in a directory, with a tokenizer of its vocabulary; whatever stands at 0 and 1 is padding and end."""
    from tiny_models import save_character_tokenizer

    tiny_gemma(canvas=8).save_pretrained(directory)
    save_character_tokenizer(directory, size=VOCABULARY, places={0: "<|pad|>", 1: "<|end|>"})
    return directory
