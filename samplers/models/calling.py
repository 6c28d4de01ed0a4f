"""How a model wants to be called: arguments that it takes, numbers of its positions, and whether it hides padding."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from .masks import token_positions
from .padding import padding_error
from .unwrapping import splits_batches, uncompiled, unwrapped


@dataclass(frozen=True, slots=True)
class Positions:
    """How a model numbers its tokens.

    Attributes:
        first: number of the first token.
        skips_padding_tokens: whether the model, left alone, counts only tokens that are not the padding token.
        limit: how many there are; None where nothing ends.
    """

    first: int = 0
    skips_padding_tokens: bool = False
    limit: int | None = None


def positions_of(model: Any) -> Positions:
    """How an encoder of transformers numbers its tokens; from 0 and without end where it has no table of positions.

    RoBERTa and its kin give padding the number `padding_idx` and begin behind it; Nyströmformer and its kin keep
    numbers that begin at 2.
    """
    if not isinstance(model, torch.nn.Module):
        return Positions()
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if name.rpartition(".")[2] not in ("position_embeddings", "embed_positions") or not isinstance(weight, Tensor):
            continue
        padding = getattr(module, "padding_idx", None)
        if padding is not None:
            return Positions(padding + 1, True, len(weight) - padding - 1)
        own = getattr(model.get_submodule(name.rpartition(".")[0]), "position_ids", None)
        first = int(own.flatten()[0]) if isinstance(own, Tensor) and own.numel() and not own.is_meta else 0
        return Positions(first, False, len(weight) - getattr(module, "offset", first))
    return Positions()


class Calling:
    """What one model is called with.

    Args:
        model: the callable, in its wrappers.
        shift: 1 where row i of its logits describes token i + 1, so that the last row is not read.
    """

    def __init__(self, model: Any, *, shift: int = 0) -> None:
        self._shift = shift
        self.bare = unwrapped(model)
        # New shapes would be compiled for nothing.
        self._asked = uncompiled(model)
        self._name = type(self.bare).__name__
        parameters = inspect.signature(getattr(self.bare, "forward", self.bare)).parameters
        self.takes = set(parameters)
        if splits_batches(model):
            # It has no batch dimension to be split along.
            self.takes.discard("logits_to_keep")
        self._takes_a_mask = "attention_mask" in parameters or any(
            parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
        )
        # A model of samplers.models numbers its tokens itself.
        ours = isinstance(getattr(self.bare, "attention", None), str)
        self._positions = Positions() if ours else positions_of(self.bare)
        # Some encoders of transformers take every padding token for padding where no mask tells them.
        self._wants_a_mask = "attention_mask" in parameters and (
            type(self.bare).__module__.startswith("transformers.")
            or parameters["attention_mask"].default is inspect.Parameter.empty
        )
        self._hides_padding = bool(getattr(self.bare, "has_kv_cache", False))

    def arguments(self, input_ids: Tensor, attention_mask: Tensor | None) -> dict[str, Tensor]:
        """Mask and positions for these tokens, as far as the model takes them and cannot find them itself.

        Args:
            input_ids: (batch, length), long.
            attention_mask: (batch, length), 1 for tokens and 0 for padding; None where nothing is padded.

        Raises:
            ValueError: there are more tokens than the model has positions, or the batch is padded and the model takes
                no attention mask, or gives padded rows other logits than it gives them alone.
        """
        if attention_mask is not None:
            self._check_padding(input_ids, attention_mask)
        return self.unchecked_arguments(input_ids, attention_mask)

    @property
    def first_position(self) -> int:
        """Number of the first token, where position ids are given."""
        return self._positions.first

    def unchecked_arguments(self, input_ids: Tensor, attention_mask: Tensor | None) -> dict[str, Tensor]:
        """As `arguments`, without asking what padding does."""
        limit = self._positions.limit
        if limit is not None and input_ids.shape[1] > limit:
            raise ValueError(
                f"prompt, answer and padding are {input_ids.shape[1]} tokens, but {self._name} has {limit} positions; "
                "give a shorter prompt, or a smaller max_new_tokens"
            )
        found: dict[str, Tensor] = {}
        if attention_mask is None and self._wants_a_mask:
            found["attention_mask"] = torch.ones_like(input_ids)
        elif attention_mask is not None:
            found["attention_mask"] = attention_mask
        if "position_ids" in self.takes and (attention_mask is not None or self._positions.skips_padding_tokens):
            real = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
            found["position_ids"] = token_positions(real) + self._positions.first
        return found

    def _check_padding(self, input_ids: Tensor, attention_mask: Tensor) -> None:
        if not self._takes_a_mask:
            raise ValueError(
                f"the batch is padded, but {self._name} takes no attention_mask; "
                "give prompts of one length, or a model that does"
            )
        if self._hides_padding:
            return
        try:
            error = _ERRORS.get(self.bare)
        except TypeError:  # nothing can refer to it weakly
            error = None
        if error is None:
            if bool(attention_mask.all()):
                # A mask that hides nothing; what it does where it does is found out when there is such a batch.
                return
            error = padding_error(self._logits, self.bare, input_ids, attention_mask)
            try:
                _ERRORS[self.bare] = error
            except TypeError:
                self._hides_padding = error.acceptable
        if not error.acceptable:
            moved = f" (they move by {error.found:.0%} of their spread)" if error.found < float("inf") else ""
            raise ValueError(
                f"the batch is padded, but padding changes the logits of {self._name}{moved}: {error.reason}; "
                "give prompts of one length"
            )

    def _logits(self, input_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
        logits: Tensor = self._asked(input_ids, **self.unchecked_arguments(input_ids, attention_mask)).logits
        return logits[:, : logits.shape[1] - self._shift]


#: What asking came to, once per model, as long as the model lives.
_ERRORS: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
