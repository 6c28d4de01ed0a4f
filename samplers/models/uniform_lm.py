"""A model of uniform noise, as transformers' own class has it, with the attributes of the models here."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import nn

from .configuration import CheckpointConfig, one_line_refusal
from .family import Family
from .key_table import listed
from .sources import Source
from .special_tokens import special_tokens


class UniformLanguageModel(nn.Module):
    """What a family's adapter makes of transformers' own class, with the attributes of `DiffusionLanguageModel`.

    Attributes:
        mask_token_id: stands for an open position, whose noise the model's sessions draw; no token of the vocabulary.
        block_length: length of a canvas.
    """

    def __init__(self, model: Any, family: Family, source: Source, config: CheckpointConfig) -> None:
        super().__init__()
        self.model = model
        self.config = model.config
        self.attention = family.attention
        self.shift = 0
        self.vocab_size: int = model.config.get_text_config().vocab_size
        self._denoiser = adapter_of(family)(model)
        self.block_length: int | None = self._denoiser.block_length
        self.mask_token_id: int | None = self._denoiser.mask_token_id
        tokens = special_tokens(source, config, family, self.vocab_size)
        self.eos_token_id, self.pad_token_id = tokens.eos_token_id, tokens.pad_token_id
        self.stop_token_ids = tokens.stop_token_ids
        self.name_or_path = source.name
        self.revision = source.revision

    @property
    def device(self) -> torch.device:
        """Where token ids belong."""
        device: torch.device = self.model.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """Of the parameters."""
        dtype: torch.dtype = self.model.dtype
        return dtype

    def session(self, request: Any) -> Any:
        """One generation; see `samplers.denoisers.uniform`."""
        return self._denoiser.session(request)


def adapter_of(family: Family) -> Any:
    """The class that a family's record names as its adapter."""
    assert family.adapter is not None
    module, _, name = family.adapter.partition(":")
    return getattr(import_module(module), name)


def load_own_class(
    family: Family, source: Source, config: CheckpointConfig, *, device: Any, **options: Any
) -> UniformLanguageModel:
    """The model by transformers' own class.

    Raises:
        ValueError: the installed transformers has no such class, the config makes no model, or tensors are missing.
    """
    import transformers

    kind = getattr(transformers, str(family.own_class), None)
    if kind is None:
        raise ValueError(
            f"{source.name}: {family.name} needs transformers' {family.own_class}, which transformers "
            f"{transformers.__version__} does not have; pip install -U transformers"
        )
    source.weights()
    options = {key: value for key, value in options.items() if value is not None}
    with one_line_refusal(f"{source.name}/config.json", "the model"):
        model, report = kind.from_pretrained(
            source.directory, output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
    misshapen = sorted(name for name, *_ in report["mismatched_keys"])
    for what, names in (("missing", sorted(report["missing_keys"])), ("of another shape", misshapen)):
        if names:
            raise ValueError(f"{source.name} does not fit its config; tensors {what}: {listed(names)}")
    if "device_map" not in options:
        model = model.to(torch.get_default_device() if device is None else device)
    return UniformLanguageModel(model.requires_grad_(False), family, source, config).eval()
