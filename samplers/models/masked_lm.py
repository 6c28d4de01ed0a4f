"""Masked language models of transformers, and models that bring their own Python files, behind the same interface."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .calling import Calling
from .configuration import CheckpointConfig, one_line_refusal
from .key_table import listed
from .network import DenoiserOutput
from .sources import Source
from .special_tokens import special_tokens


class MaskedLanguageModel(nn.Module):
    """A model of transformers with bidirectional attention; attributes as those of `DiffusionLanguageModel`."""

    def __init__(self, model: Any, source: Source, config: CheckpointConfig) -> None:
        super().__init__()
        self.model = model
        self.config = model.config
        self.attention = "full"
        self.block_length: int | None = None
        self.shift = 0
        self.vocab_size: int = model.config.get_text_config().vocab_size
        self.name_or_path = source.name
        self.revision = source.revision
        tokens = special_tokens(source, config, None, self.vocab_size)
        self.mask_token_id, self.eos_token_id = tokens.mask_token_id, tokens.eos_token_id
        self.pad_token_id, self.stop_token_ids = tokens.pad_token_id, tokens.stop_token_ids
        self._calling = Calling(model)

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

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        logits_to_keep: int | Tensor | None = None,
    ) -> DenoiserOutput:
        """Logits aligned with `input_ids`; arguments as in `DiffusionLanguageModel.forward`, but no past.

        Raises:
            ValueError: a past is given, or more tokens than the model has positions.
        """
        if past_key_values is not None:
            raise ValueError(f"{type(self.model).__name__} has no KV cache; leave past_key_values out")
        finished = attention_mask is not None and attention_mask.dim() == 4
        if finished and "position_ids" not in self._calling.takes:
            raise ValueError(f"{type(self.model).__name__} counts its positions itself, which a 4-D mask may not allow")
        arguments = self._calling.unchecked_arguments(input_ids, None if finished else attention_mask)
        if attention_mask is not None and finished:
            arguments["attention_mask"] = attention_mask
        if position_ids is not None and "position_ids" in self._calling.takes:
            arguments["position_ids"] = position_ids + self._calling.first_position
        logits = self.model(input_ids, **arguments).logits
        if isinstance(logits_to_keep, Tensor):
            logits = logits.index_select(1, logits_to_keep)
        elif logits_to_keep:
            logits = logits[:, -logits_to_keep:]
        return DenoiserOutput(logits)


def is_masked_language_model(config: CheckpointConfig) -> bool:
    """Whether transformers has an `AutoModelForMaskedLM` for this config."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    kind = config.get("model_type")
    return isinstance(kind, str) and kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES


def check_keys(config: CheckpointConfig) -> None:
    """Refuse what transformers' class would build as something else than the file says, without a word.

    Keys that the class does not know are leftovers where the checkpoint was made for that class, and mean something to
    code that the checkpoint brings itself.

    Raises:
        ValueError: the model is causal, has positions that transformers 5 knows no more, or keys of its own code.
    """
    from transformers import CONFIG_MAPPING

    kind = CONFIG_MAPPING[config.require("model_type")]
    known = {*kind.__dataclass_fields__, *kind.attribute_map}
    config.only("is_decoder", False)
    if "position_embedding_type" not in known:
        config.only("position_embedding_type", "absolute")
    if config.get("auto_map") is not None:
        config.refuse_unread(known)


def load_masked_language_model(
    source: Source, config: CheckpointConfig, *, device: Any, **options: Any
) -> MaskedLanguageModel:
    """An `AutoModelForMaskedLM`.

    Raises:
        ValueError: its config says what transformers' class does not know, or it lacks tensors that the model needs,
            or has them in another shape.
    """
    from transformers import AutoModelForMaskedLM

    check_keys(config)
    source.weights()
    with one_line_refusal(f"{source.name}/config.json", "the model"):
        # Shapes that do not fit are in the report then, instead of in a log.
        model, report = AutoModelForMaskedLM.from_pretrained(
            source.directory, output_loading_info=True, ignore_mismatched_sizes=True, **_without_none(options)
        )
    misshapen = sorted(name for name, *_ in report["mismatched_keys"])
    for what, names in (("missing", sorted(report["missing_keys"])), ("of another shape", misshapen)):
        if names:
            raise ValueError(f"{source.name} does not fit its config; tensors {what}: {listed(names)}")
    return MaskedLanguageModel(_moved(model, device, options), source, config).eval()


def load_remote(source: Source, config: CheckpointConfig, *, device: Any, **options: Any) -> Any:
    """A model built by the Python files of its own repository.

    Raises:
        ValueError: the repository names no class that gives logits.
    """
    import transformers

    classes = config.get("auto_map", {})
    name = next(
        (name for name in ("AutoModelForMaskedLM", "AutoModelForCausalLM", "AutoModel") if name in classes), None
    )
    if name is None:
        raise ValueError(f"{source.name!r} has no model class of its own: auto_map in config.json names none")
    model = getattr(transformers, name).from_pretrained(
        source.name, revision=source.revision, trust_remote_code=True, **_without_none(options)
    )
    model = _moved(model, device, options).eval()
    tokens = special_tokens(source, config, None, model.config.vocab_size)
    for key in ("mask_token_id", "eos_token_id", "pad_token_id", "stop_token_ids"):
        if getattr(model, key, None) is None:
            setattr(model, key, getattr(tokens, key))
    model.revision = source.revision
    return model


def _without_none(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def _moved(model: Any, device: Any, options: dict[str, Any]) -> Any:
    if options.get("device_map") is not None:
        return model
    return model.to(torch.get_default_device() if device is None else device)
