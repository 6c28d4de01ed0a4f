"""Checkpoints of any family with random weights, under the names and keys of the published ones; any size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from samplers.models import loading
from samplers.models.configuration import CheckpointConfig
from samplers.models.key_table import expected_tensors
from samplers.models.registry import family_of

_QWEN = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "vocab_size": 64,
    "eos_token_id": 60,
    "pad_token_id": 60,
}
_IDS = {"mask_token_id": 63}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2}
_LLAMA = _QWEN | _IDS | {"max_position_embeddings": 64, "attention_bias": False, "mlp_bias": False}
_LLADA2 = {
    **_QWEN,
    **_EXPERTS,
    "model_type": "llada2_moe",
    "architectures": ["LLaDA2MoeModelLM"],
    "moe_intermediate_size": 16,
    "num_shared_experts": 1,
    "n_group": 2,
    "topk_group": 1,
    "routed_scaling_factor": 2.5,
    "first_k_dense_replace": 1,
    "partial_rotary_factor": 0.5,
    "block_size": 4,
    **_IDS,
}

#: A prompt for the tiny models.
IDS = torch.tensor([[3, 1, 4, 1, 63, 9, 2, 6]])
#: A config.json of each family, as small as it gets.
TINY_CONFIGS: dict[str, dict[str, Any]] = {
    "llada": {
        "model_type": "llada",
        "architectures": ["LLaDAModelLM"],
        "d_model": 32,
        "n_heads": 4,
        "n_kv_heads": 4,
        "n_layers": 2,
        "mlp_hidden_size": 48,
        "embedding_size": 64,
        "vocab_size": 64,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "weight_tying": False,
        "eos_token_id": 60,
        "pad_token_id": 60,
        **_IDS,
    },
    "dream": {**_QWEN, "model_type": "Dream", "architectures": ["DreamModel"], **_IDS},
    "sdar": {
        **_QWEN,
        "model_type": "sdar",
        "architectures": ["SDARForCausalLM"],
        "head_dim": 10,
        "block_size": 4,
        **_IDS,
    },
    "fast_dllm": {
        **_QWEN,
        "model_type": "Fast_dLLM_Qwen",
        "architectures": ["Fast_dLLM_QwenForCausalLM"],
        "bd_size": 8,
        **_IDS,
    },
    "llada2": _LLADA2,
    "llada_moe": {
        **_QWEN,
        **_EXPERTS,
        "model_type": "llada",
        "architectures": ["LLaDAMoEModelLM"],
        "intermediate_size": None,
        "num_key_value_heads": 4,
        "dense_intermediate_size": 48,
        "expert_intermediate_size": 16,
        "moe_layer_freq": [0, 1],
        **_IDS,
    },
    "illada": {**_LLAMA, "model_type": "illada", "architectures": ["ILLaDAForCausalLM"], "tie_word_embeddings": True},
    "dream_reasoner": {
        **_QWEN,
        "model_type": "Dream",
        "architectures": ["DreamForCausalLM"],
        "head_dim": 10,
        "block_size": 4,
        **_IDS,
    },
    "sdar_moe": {
        **_QWEN,
        **_EXPERTS,
        "model_type": "sdar_moe",
        "architectures": ["SDARMoeForCausalLM"],
        "head_dim": 10,
        "moe_intermediate_size": 16,
        "norm_topk_prob": True,
        "block_size": 4,
        **_IDS,
    },
    "rnd1": {
        **_QWEN,
        **_EXPERTS,
        "model_type": "rnd1",
        "architectures": ["RND1LM"],
        "head_dim": 10,
        "moe_intermediate_size": 16,
        "norm_topk_prob": True,
        **_IDS,
    },
    "stable_diffcoder": {**_LLAMA, "model_type": "llama", "architectures": ["StableDiffcoderForCausalLM"]},
    "a2d_qwen3": {
        **_QWEN,
        "model_type": "a2d-qwen3",
        "architectures": ["A2DQwen3LMHeadModel"],
        "head_dim": 10,
        "diffusion": "bd3lm",
        "block_size": 4,
        **_IDS,
    },
    "a2d_qwen2": {
        **_QWEN,
        "model_type": "a2d-qwen2",
        "architectures": ["A2DQwen2LMHeadModel"],
        "diffusion": "mdlm",
        **_IDS,
    },
    "a2d_llama": {
        **_LLAMA,
        "model_type": "a2d-llama",
        "architectures": ["A2DLlamaLMHeadModel"],
        "diffusion": "mdlm",
    },
    "nemotron_labs_diffusion": {
        **_QWEN,
        "model_type": "nemotron_labs_diffusion",
        "architectures": ["NemotronLabsDiffusionModel"],
        "head_dim": 8,
        "block_size": 4,
        "dlm_paradigm": "bidirectional",
        "max_position_embeddings": 64,
        "rope_theta": None,
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 10000.0,
            "factor": 4.0,
            "original_max_position_embeddings": 16,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "mscale": 1.0,
            "mscale_all_dim": 1.0,
            "llama_4_scaling_beta": 0.1,
        },
        **_IDS,
    },
    "llada2_2": {
        **_LLADA2,
        "num_experts": 8,
        "n_group": 2,
        "topk_group": 1,
        "expert_capacity": 3,
        "delete_token_id": 58,
        "split_token_id": 59,
    },
    "parallelbench": {
        **_QWEN,
        "model_type": "parallelbench",
        "head_dim": 8,
        "tie_word_embeddings": True,
        "answer_start_token_id": 62,
        **_IDS,
    },
}


def write_checkpoint(
    directory: Path,
    config: dict[str, Any],
    *,
    shards: int = 1,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    seed: int = 0,
    std: float = 0.2,
    skip: tuple[str, ...] = (),
    extra: dict[str, Tensor] | None = None,
) -> Path:
    """Write config.json and weights; no more than one shard is held in memory.

    Args:
        directory: made if need be.
        config: keys of config.json.
        shards: number of weight files; 1 gives a model.safetensors, more an index too.
        dtype: of the weights.
        device: where they are drawn.
        seed: of the weights.
        std: their standard deviation; norm weights lie around 1.
        skip: names of tensors to leave out.
        extra: tensors to add to the last file.

    Returns:
        `directory`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config, indent=2))
    names = [(name, shape) for name, shape in _tensors(config) if name not in skip]
    generator = torch.Generator(device).manual_seed(seed)
    weight_map: dict[str, str] = {}
    total = sum(torch.Size(shape).numel() for _, shape in names)
    done, current, number = 0, {}, 1
    for index, (name, shape) in enumerate(names):
        drawn = torch.randn(shape, generator=generator, device=device, dtype=torch.float32) * std
        current[name] = (drawn + 1 if "norm" in name or "ln_f" in name else drawn).to(dtype).cpu()
        done += torch.Size(shape).numel()
        last = index == len(names) - 1
        if last or (done >= total * number / shards and number < shards):
            if last:
                current |= extra or {}
            filename = "model.safetensors" if shards == 1 else f"model-{number:05d}-of-{shards:05d}.safetensors"
            save_file(current, directory / filename, metadata={"format": "pt"})
            weight_map |= dict.fromkeys(current, filename)
            current, number = {}, number + 1
    if shards > 1:
        index_file = {"metadata": {}, "weight_map": weight_map}
        (directory / "model.safetensors.index.json").write_text(json.dumps(index_file))
    return directory


def written(tmp_path: Path, name: str, *, config: dict[str, Any] | None = None, **options: Any) -> Path:
    """A tiny checkpoint of the family `name` in `tmp_path / name`; `options` are those of `write_checkpoint`."""
    return write_checkpoint(tmp_path / name, TINY_CONFIGS[name] | (config or {}), **options)


def _tensors(config: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of all tensors that a checkpoint with this config holds."""
    wrapped = CheckpointConfig(config, "config.json")
    family = family_of(wrapped)
    assert family is not None
    blueprint = family.blueprint(wrapped)
    network = loading.network(family, wrapped, blueprint)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    settings = network.model.config
    for name, pieces, shape in expected_tensors(
        blueprint.table, shapes, settings.num_hidden_layers, getattr(settings, "num_local_experts", 0) or 0
    ):
        if not (blueprint.tied and pieces[0].target == "lm_head.weight"):
            yield name, shape
