"""Adapters: one call that gives logits aligned with the tokens of a window, whatever model stands behind it."""

from __future__ import annotations

import inspect
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

#: Families whose row i of logits predicts token i + 1 (Dream and DiffuCoder, arXiv 2508.15487, 2506.20639).
SHIFTED_FAMILIES = ("Dream",)
#: Families that need a block-causal mask, which the adapters here do not build.
BLOCK_CAUSAL_FAMILIES = ("sdar", "llada2_moe", "Fast_dLLM_Qwen")


@runtime_checkable
class Denoiser(Protocol):
    """What `generate` needs of a model: logits for a window, and what is known about special tokens and blocks."""

    mask_token_id: int | None
    block_length: int | None

    def window_logits(self, input_ids: Tensor, attention_mask: Tensor | None, start: int, stop: int) -> Tensor:
        """Logits for positions `start` to `stop` (exclusive), aligned with the tokens there.

        Args:
            input_ids: (batch, length), long.
            attention_mask: (batch, length), 1 for real tokens and 0 for padding; None where nothing is padded.

        Returns:
            (batch, stop - start, vocab), any float dtype.
        """
        ...


class ModelDenoiser:
    """A model with bidirectional attention behind the `Denoiser` interface.

    The model is any callable whose output has `.logits` of shape (batch, length, vocab). It is handed `attention_mask`,
    `position_ids` and `logits_to_keep` only where its signature names them.

    Args:
        model: the callable.
        shift: 0 where row i of the logits describes token i, 1 where it describes token i + 1.
    """

    def __init__(self, model: Any, *, shift: int = 0) -> None:
        self.model = model
        self.shift = shift
        self.mask_token_id: int | None = model_attribute(model, "mask_token_id")
        self.block_length: int | None = model_attribute(model, "block_length")
        parameters = inspect.signature(getattr(model, "forward", model)).parameters
        self._takes = set(parameters)
        self._takes_anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())

    def window_logits(self, input_ids: Tensor, attention_mask: Tensor | None, start: int, stop: int) -> Tensor:
        arguments: dict[str, Any] = {}
        if attention_mask is not None:
            if "attention_mask" not in self._takes and not self._takes_anything:
                raise ValueError(
                    f"the batch is padded, but {type(self.model).__name__} takes no attention_mask; "
                    "give prompts of one length, or a model that does"
                )
            arguments["attention_mask"] = attention_mask
            if "position_ids" in self._takes:
                arguments["position_ids"] = (attention_mask.long().cumsum(dim=1) - 1).clamp(min=0)
        # Row 0 of a shifted model is all there is for token 0.
        rows = torch.arange(start - self.shift, stop - self.shift, device=input_ids.device).clamp(min=0)
        if "logits_to_keep" in self._takes:
            return self._logits(self.model(input_ids, logits_to_keep=rows, **arguments))
        logits = self._logits(self.model(input_ids, **arguments))
        return logits[:, start:stop] if self.shift == 0 else logits.index_select(1, rows)

    def _logits(self, output: Any) -> Tensor:
        logits = getattr(output, "logits", None)
        if not isinstance(logits, Tensor):
            raise TypeError(
                f"{type(self.model).__name__} returned {type(output).__name__}, which has no tensor .logits"
            )
        return logits


def denoiser_for(model: Any) -> Denoiser:
    """The adapter for `model`, chosen by `model.config.model_type`; a `Denoiser` is returned as it is.

    Raises:
        ValueError: the model's family needs a block-causal attention mask.
    """
    if isinstance(model, Denoiser):
        return model
    family = getattr(getattr(model, "config", None), "model_type", None)
    if family in BLOCK_CAUSAL_FAMILIES:
        raise ValueError(f"model_type {family!r} needs block-causal attention, which generate() does not drive yet")
    return ModelDenoiser(model, shift=1 if family in SHIFTED_FAMILIES else 0)


def model_attribute(model: Any, name: str) -> int | None:
    """A whole number that the model or its config carries under `name`, else None."""
    for holder in (model, getattr(model, "config", None)):
        value = getattr(holder, name, None)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None
