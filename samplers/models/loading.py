"""`load`: a model from a directory or the Hub, built from transformers' blocks and streamed to its device."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from torch import nn

from . import blocks as decoders
from .block_routing import route_by_blocks
from .configuration import CheckpointConfig
from .family import Blueprint, Family
from .key_table import Plan, plan
from .network import DiffusionLanguageModel
from .placement import place
from .registry import family_of, known_types
from .sources import Source, find
from .special_tokens import special_tokens
from .weights import WeightFile, read_headers, stream

logger = logging.getLogger(__name__)

#: Shorter names that people type.
_DTYPES = {"bf16": "bfloat16", "fp16": "float16", "half": "float16", "fp32": "float32", "float": "float32"}


def load(
    name_or_path: str | Path,
    *,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    revision: str | None = None,
    device_map: str | dict[str, Any] | None = None,
    quantization_config: Any = None,
    trust_remote_code: bool = False,
) -> nn.Module:
    """A diffusion language model, ready for `samplers.generate`.

    The families of `families()` are built from transformers' own blocks and the checkpoint's tensors; any
    `AutoModelForMaskedLM` of transformers works as well. The weights go shard by shard to where they belong, so the
    host never holds more than one shard of a model that lives elsewhere.

    Args:
        name_or_path: a directory, or a repository on the Hub.
        dtype: of the parameters, as torch's or by name; None keeps the checkpoint's.
        device: where the model goes; None means torch's default device.
        revision: branch, tag or commit on the Hub.
        device_map: "auto", or module → device, to spread the model over several devices with accelerate.
        quantization_config: transformers' `BitsAndBytesConfig` or `TorchAoConfig`.
        trust_remote_code: run the Python files of the repository, where its family is not known here.

    Returns:
        A module in eval mode whose `forward(input_ids, attention_mask=None, position_ids=None, past_key_values=None,
        logits_to_keep=None)` gives `.logits` aligned with `input_ids`, with the attributes `config`, `mask_token_id`,
        `eos_token_id`, `pad_token_id`, `stop_token_ids`, `block_length` (None: any), `vocab_size`, `attention`,
        `device`, `dtype`, `name_or_path` and `revision` (the commit, for a model of the Hub).

    Raises:
        ValueError: the model does not exist or cannot be reached, its config asks for what the blocks cannot
            express, or its files are cut off, incomplete or hold more than the config says.
    """
    if device is not None and device_map is not None:
        raise ValueError(f"device={device!r} and device_map={device_map!r} contradict each other; give one of them")
    source = find(name_or_path, revision)
    config = _config(source)
    family = family_of(config)
    options = {"dtype": _dtype(dtype), "device_map": device_map, "quantization_config": quantization_config}
    if family is not None and family.own_class is not None:
        from .uniform_lm import load_own_class

        return load_own_class(family, source, config, device=device, **options)
    if family is not None:
        return _load_family(family, source, config, options["dtype"], device, device_map, quantization_config)

    from .masked_lm import is_masked_language_model, load_masked_language_model, load_remote

    if is_masked_language_model(config):
        return load_masked_language_model(source, config, device=device, **options)
    if trust_remote_code:
        logger.warning("%s: running the Python files of this repository, which may do anything you may do", source.name)
        remote: nn.Module = load_remote(source, config, device=device, **options)
        return remote
    raise _unknown_type(source, config)


def check(source: Source) -> None:
    """Refuse what `load` would refuse, as far as config and the heads of the weight files tell; nothing is fetched.

    Raises:
        ValueError: the model is of no known kind, its config asks for what the blocks cannot express, or weight
            files that are here are cut off, incomplete or hold more than the config says.
    """
    config = _config(source)
    family = family_of(config)
    if family is not None and family.own_class is None:
        if source.is_complete:
            _planned(family, source, config)
        else:
            _network(family, source, config, family.blueprint(config))
        return
    from .masked_lm import check_keys, is_masked_language_model

    if family is not None:
        if source.is_complete:
            _weight_files(source)
        return
    if not is_masked_language_model(config):
        raise _unknown_type(source, config)
    check_keys(config)
    if source.is_complete:
        _weight_files(source)


def _config(source: Source) -> CheckpointConfig:
    values = source.read_json("config.json")
    if values is None:
        raise ValueError(f"{source.name!r} has no config.json, so it holds no model")
    return CheckpointConfig(values, f"{source.name}/config.json")


def _unknown_type(source: Source, config: CheckpointConfig) -> ValueError:
    return ValueError(
        f"{source.name!r} has model_type {config.get('model_type')!r}, which is neither a masked language model of "
        f"transformers nor one of {', '.join(known_types())}; "
        "trust_remote_code=True runs the repository's own Python files"
    )


def _load_family(
    family: Family,
    source: Source,
    config: CheckpointConfig,
    dtype: torch.dtype | None,
    device: str | torch.device | None,
    device_map: str | dict[str, Any] | None,
    quantization_config: Any,
) -> DiffusionLanguageModel:
    model, files, tensors = _planned(family, source, config)
    dtype = dtype or _dtype(config.get("dtype", config.get("torch_dtype"))) or files[0].dtype or torch.float32
    if tensors.tied:
        # Already now, so that both go to the same device.
        model.lm_head.weight = model.model.embed_tokens.weight
    placement = place(model, dtype=dtype, device=device, device_map=device_map, quantization_config=quantization_config)
    stream(files, tensors, model, dtype=dtype, device_of=placement.device_of, finish=placement.finish)
    if tensors.tied:
        model.lm_head.weight = model.model.embed_tokens.weight
    decoders.complete(model.model, dtype, placement.device_of)
    model.name_or_path = source.name
    model.revision = source.revision
    model.eval()
    return placement.spread(model)


def _planned(
    family: Family, source: Source, config: CheckpointConfig
) -> tuple[DiffusionLanguageModel, list[WeightFile], Plan]:
    """The network on the meta device, the heads of its files, and where each tensor goes."""
    blueprint = family.blueprint(config)
    files = _weight_files(source)
    model = _network(family, source, config, blueprint)
    settings = model.model.config
    tensors = plan(
        blueprint.table,
        {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()},
        {name: shape for file in files for name, shape in file.shapes.items()},
        layers=settings.num_hidden_layers,
        experts=getattr(settings, "num_local_experts", 0) or 0,
        tied=blueprint.tied,
        source=source.name,
    )
    return model, files, tensors


def _network(family: Family, source: Source, config: CheckpointConfig, blueprint: Blueprint) -> DiffusionLanguageModel:
    model = network(family, config, blueprint, f"{source.name}/config.json")
    model.set_special_tokens(special_tokens(source, config, family, model.vocab_size))
    config.refuse_unread(family.harmless_keys)
    return model


def network(
    family: Family, config: CheckpointConfig, blueprint: Blueprint, source: str = "the config"
) -> DiffusionLanguageModel:
    """The network that a family builds from a config, on the meta device, without special tokens.

    Args:
        family, config: of a checkpoint.
        blueprint: the family's, of that config.
        source: where the config comes from, for messages.

    Raises:
        ValueError: the values of the config make no network.
    """
    decoder = decoders.build(blueprint.blocks, blueprint.config, source)
    block_length = blueprint.block_length or family.block_length
    if blueprint.expert_capacity is not None:
        route_by_blocks(decoder, blueprint.expert_capacity)
    return DiffusionLanguageModel(
        decoder,
        config,
        attention=blueprint.attention or family.attention,
        block_length=block_length,
        shift=family.shift,
        expert_capacity=blueprint.expert_capacity,
        withheld_token_ids=blueprint.withheld_token_ids,
    )


def _weight_files(source: Source) -> list[WeightFile]:
    return read_headers(source.weights())


def _dtype(given: str | torch.dtype | None) -> torch.dtype | None:
    if given is None or given == "auto":
        return None
    if isinstance(given, torch.dtype):
        return given
    found = getattr(torch, _DTYPES.get(given, given), None) if isinstance(given, str) else None
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise ValueError(f"dtype {given!r} is not a floating dtype of torch; try 'bfloat16', 'float16' or 'float32'")
    return found
