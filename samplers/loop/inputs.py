"""What `generate` is given: validated, kept in one record, and brought into the form that the loop works on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import torch
from torch import Tensor

from ..denoisers.interface import COMPILE_CHOICES, Denoiser
from ..schedulers.validation import check_choice, check_count, check_range

#: Called with the number of the step, its timestep and {"sample": answers}; see `generate`.
Callback = Callable[[int, Any, dict[str, Tensor]], dict[str, Tensor] | None]


@dataclass(frozen=True, eq=False)
class GenerationArguments:
    """The arguments of `generate`, which documents them, under the same names; validated.

    Attributes:
        attention_mask: None where nothing is padded.

    Raises:
        TypeError: `input_ids` is not a tensor.
        ValueError: a shape, dtype or number is wrong, or a prompt is padded elsewhere than on the left.
    """

    model: Any
    input_ids: Tensor
    _: KW_ONLY
    scheduler: Any
    max_new_tokens: int = 32
    block_length: int | None = None
    attention_mask: Tensor | None = None
    mask_token_id: int | None = None
    prefill: Tensor | None = None
    cfg_scale: float = 0.0
    eos_token_id: int | Sequence[int] | None = None
    stop_at_eos: bool = False
    eos_handling: str | None = None
    eos_discount: float | tuple[float, float] = (0.4, 1.0)
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    generator: torch.Generator | Sequence[torch.Generator | None] | None = None
    callback_on_step_end: Callback | None = None
    cache: str | None = None
    compile: str = "auto"

    def __post_init__(self) -> None:
        ids = self.input_ids
        if not isinstance(ids, Tensor):
            raise TypeError(f"input_ids is a {type(ids).__name__}; it should be a tensor (batch, prompt), long")
        if ids.dim() != 2 or ids.dtype != torch.long:
            raise ValueError(
                f"input_ids has shape {tuple(ids.shape)} and dtype {ids.dtype}; it should be (batch, prompt), long"
            )
        check_count("max_new_tokens", self.max_new_tokens, optional=False)
        check_count("block_length", self.block_length)
        check_choice("compile", self.compile, COMPILE_CHOICES)
        check_range("cfg_scale", self.cfg_scale, 0, torch.inf, "a finite number of at least 0", upper_open=True)
        if isinstance(self.generator, Sequence) and len(self.generator) != len(ids):
            raise ValueError(f"got {len(self.generator)} generators for a batch of {len(ids)} rows; give one per row")
        if self.attention_mask is not None and not _is_padded(self.attention_mask, ids):
            object.__setattr__(self, "attention_mask", None)


def _is_padded(attention_mask: Tensor, input_ids: Tensor) -> bool:
    """Whether anything is padded, which only the left may be."""
    if attention_mask.shape != input_ids.shape:
        raise ValueError(
            f"attention_mask has shape {tuple(attention_mask.shape)}; "
            f"it should be that of input_ids, {tuple(input_ids.shape)}"
        )
    padding = attention_mask == 0
    # Once a token is real, all that follow are.
    if bool((padding[:, 1:] & ~padding[:, :-1]).any()) or bool(padding[:, -1:].any()):
        raise ValueError("attention_mask marks padding after a token; prompts are padded on the left")
    return bool(padding.any())


def find_mask_token_id(given: int | None, denoiser: Denoiser) -> int:
    """The mask token that was given, else the model's.

    Raises:
        ValueError: neither is there.
    """
    found = given if given is not None else denoiser.mask_token_id
    if found is None:
        raise ValueError("mask_token_id is not known: neither the model nor its config has one; pass mask_token_id=")
    return found


def prepare_answer(prefill: Tensor | None, input_ids: Tensor, max_new_tokens: int, mask_token_id: int) -> Tensor:
    """The answers before the first step, (batch, max_new_tokens), long: what `prefill` holds, and masks.

    Raises:
        TypeError: `prefill` is not a tensor.
        ValueError: it has another batch size or dtype than `input_ids`, or more than `max_new_tokens` columns.
    """
    answer = input_ids.new_full((len(input_ids), max_new_tokens), mask_token_id)
    if prefill is None:
        return answer
    if not isinstance(prefill, Tensor):
        raise TypeError(f"prefill is a {type(prefill).__name__}; it should be a tensor (batch, at most new), long")
    rows_fit = prefill.dim() == 2 and len(prefill) == len(input_ids)
    if not rows_fit or prefill.shape[1] > max_new_tokens or prefill.dtype != torch.long:
        raise ValueError(
            f"prefill has shape {tuple(prefill.shape)} and dtype {prefill.dtype}; it should be "
            f"({len(input_ids)}, at most {max_new_tokens}), long"
        )
    answer[:, : prefill.shape[1]] = prefill
    return answer
