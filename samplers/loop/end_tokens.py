"""What a generation does about end tokens: nothing, ban them, trust them less, fill up behind the first, or stop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..models.unwrapping import unwrapped
from ..schedulers.validation import check_choice, check_flag, check_range
from ..schedulers.views import ModelView
from .inputs import GenerationArguments

HANDLINGS = ("ban", "discount", "fill")


@dataclass(frozen=True, slots=True)
class EndTokens:
    """The end tokens of a generation, and what is done about them.

    Attributes:
        tokens: their ids; the first is the one that fills. Empty where none is known.
        ids: the same as a tensor (number of end tokens,), long, on the device.
        stop: fill a row up after the block that has its end token.
        handling: one of `HANDLINGS`, or None.
        discount: factors of an end token's confidence at the beginning and at the end of an answer.
    """

    tokens: tuple[int, ...]
    ids: Tensor
    stop: bool
    handling: str | None
    discount: tuple[float, float]

    @property
    def fills(self) -> bool:
        """Whether positions may be filled before their block's turn."""
        return self.stop or self.handling == "fill"

    @property
    def banned(self) -> bool:
        """Whether `adjust` changes logits."""
        return self.handling == "ban"

    def adjust(self, view: ModelView) -> ModelView:
        """The view without the end tokens where they are banned; else as it is."""
        if not self.banned or view.logits is None:
            return view
        if view.draft_logits is None:
            return replace(view, logits=view.logits.index_fill(-1, self.ids, -torch.inf))
        all_states = view.draft_logits.index_fill(-1, self.ids, -torch.inf)
        return replace(view, logits=all_states[: len(view.logits)], draft_logits=all_states)

    def discounts(self, answer: Tensor, mask_token_id: int) -> dict[int, Tensor] | None:
        """Factor of each end token's confidence, (batch,), where answers (batch, new) have come so far."""
        if self.handling != "discount":
            return None
        first, last = self.discount
        factor = last - (last - first) * (answer == mask_token_id).float().mean(dim=1)
        return dict.fromkeys(self.tokens, factor)

    def fill_behind(self, answer: Tensor, mask_token_id: int) -> Tensor:
        """The answers, (batch, new), with the masks behind their first end token filled, if that is asked for."""
        if self.handling != "fill":
            return answer
        behind = self._is_end(answer).cumsum(dim=1) > 0
        return answer.masked_fill(behind & (answer == mask_token_id), self.tokens[0])

    def fill_stopped(self, answer: Tensor, mask_token_id: int, decoded: int | Tensor) -> Tensor:
        """The answers, (batch, new), filled up where the first `decoded` positions have an end token, if asked for.

        `decoded` is one number, or one per row, (batch, 1).
        """
        if not self.stop:
            return answer
        columns = torch.arange(answer.shape[1], device=answer.device)
        stopped = (self._is_end(answer) & (columns < decoded)).any(dim=1, keepdim=True)
        return answer.masked_fill(stopped & (answer == mask_token_id), self.tokens[0])

    def _is_end(self, answer: Tensor) -> Tensor:
        return (answer.unsqueeze(-1) == self.ids).any(dim=-1)


def end_tokens(arguments: GenerationArguments) -> EndTokens:
    """Validate what `generate` was told about end tokens.

    Raises:
        ValueError: an argument is out of range, or an end token is needed and none is known.
    """
    stop, handling, discount = arguments.stop_at_eos, arguments.eos_handling, arguments.eos_discount
    given = arguments.eos_token_id
    check_flag("stop_at_eos", stop)
    if handling is not None:
        check_choice("eos_handling", handling, HANDLINGS)
    pair = (discount, discount) if isinstance(discount, int | float) else tuple(discount)
    if len(pair) != 2:
        raise ValueError(f"eos_discount={discount!r} should be a number in [0, 1], or a pair of such numbers")
    first, last = pair
    for factor in (first, last):
        check_range("eos_discount", factor, 0, 1, "in [0, 1], or a pair of such numbers", optional=False)
    found = given if given is not None else _of_model(arguments.model)
    ids = [] if found is None else [found] if isinstance(found, int) else list(found)
    if not ids and (stop or handling is not None):
        wanted = "stop_at_eos=True" if stop else f"eos_handling={handling!r}"
        raise ValueError(f"{wanted}, but neither the model nor its config has an end token; pass eos_token_id=")
    if not all(isinstance(token, int) and not isinstance(token, bool) for token in ids):
        raise ValueError(f"eos_token_id={given!r} should be the id of an end token, or a list of such ids")
    on_device = torch.tensor(ids, dtype=torch.long, device=arguments.input_ids.device)
    return EndTokens(tuple(ids), on_device, stop, handling, (first, last))


def _of_model(model: Any) -> Any:
    """The end token, or tokens, that a model or its config names."""
    model = unwrapped(model)
    for holder in (model, getattr(model, "config", None), getattr(model, "model", None)):
        # Models of samplers.models know the end of a turn beside the end of a text.
        value = getattr(holder, "stop_token_ids", None) or getattr(holder, "eos_token_id", None)
        if value is not None:
            return value
    return None
