"""The trained weights in the standard format: `config.json` and `model.safetensors`, in bfloat16."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hub_dataset.disk import write_atomically

from .batches import WINDOWS
from .model import ModelConfig
from .tokenizer import ASSISTANT, END, MASK, PAD, load_backend

MODEL_TYPE = "parallelbench"
# More than the longest prompt and the longest answer of training together.
LONGEST_SEQUENCE = 512


def config_entries(config: ModelConfig, directory: Path) -> dict[str, Any]:
    """What `config.json` holds: Qwen3's keys, and which tokens are special in the tokenizer of `directory`."""
    tokenizer = load_backend(directory)
    return {
        "architectures": ["ParallelBenchForMaskedLM"],
        # AutoTokenizer reads a config of a type that transformers does not know as one of no type at all, and warns
        # unless the config holds one of that type.
        "without_a_model": {"model_type": ""},
        "model_type": MODEL_TYPE,
        **asdict(config),
        "num_key_value_heads": config.num_attention_heads,
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "max_position_embeddings": LONGEST_SEQUENCE,
        "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "dtype": "bfloat16",
        "pad_token_id": tokenizer.token_to_id(PAD),
        "eos_token_id": tokenizer.token_to_id(END),
        "bos_token_id": None,
        "mask_token_id": tokenizer.token_to_id(MASK),
        "answer_start_token_id": tokenizer.token_to_id(ASSISTANT),
        "answer_length": WINDOWS[-1],
    }


def export_model(weights: Mapping[str, Tensor], config: ModelConfig, directory: Path) -> None:
    """Write `config.json` and `model.safetensors` beside the tokenizer in `directory`, each renamed into place."""
    from safetensors.torch import save

    tensors = {name: weight.detach().to("cpu", torch.bfloat16).contiguous() for name, weight in weights.items()}
    # Not `save_file`, which writes a file that only its owner may read, and raises no OSError where it cannot.
    write_atomically(directory / "model.safetensors", save(tensors, metadata={"format": "pt"}))
    text = json.dumps(config_entries(config, directory), indent=2, sort_keys=True) + "\n"
    write_atomically(directory / "config.json", text.encode())
