"""Transformers' decoders, built without memory from a blueprint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from .configuration import one_line_refusal


def build(blocks: str, config: dict[str, Any], source: str = "the config") -> Any:
    """A decoder on the meta device.

    Args:
        blocks: `model_type` of one of transformers' decoders, such as "llama".
        config: keyword arguments of its config class.
        source: where they come from, for messages.

    Raises:
        ValueError: the values contradict each other, or make no network.
    """
    import transformers

    config_class: Any = transformers.CONFIG_MAPPING[blocks]
    model_class: Any = transformers.MODEL_MAPPING[config_class]
    with one_line_refusal(source, f"transformers' {blocks} blocks"):
        settings = config_class(**config, use_cache=False)
        settings._attn_implementation = "sdpa"
        with torch.device("meta"):
            return model_class(settings)


def complete(decoder: Any, dtype: torch.dtype, device_of: Callable[[str], torch.device]) -> None:
    """Give a decoder that was built on the meta device what no checkpoint stores: the frequencies of its positions."""
    if dtype == torch.float64 and hasattr(decoder, "set_experts_implementation"):
        # The fused product of all experts knows no double precision.
        decoder.set_experts_implementation("eager")
    rotary: nn.Module = decoder.rotary_emb
    decoder.rotary_emb = type(rotary)(config=decoder.config).to(device_of("model.rotary_emb"))
