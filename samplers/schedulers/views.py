"""What a scheduler wants of one look at the model, and the record that it gets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .proposals import RecordedProposal


@dataclass(frozen=True, slots=True)
class Wants:
    """What a scheduler reads of each look at the model; declared on the class, or a property that reads the config.

    Attributes:
        logits: whether it reads the logits. False where a greedy proposal with its scores is enough, so that a
            `RecordedProposal` may stand in for them.
        shadow_logits: the logits at one shadow token per position of the window, which sees the whole sequence but the
            token there (WINO, arXiv 2507.18578; see `samplers.denoisers.shadows`).
        attentions: the attention weights of some layers: their indices, negative ones counted from the last layer, or
            the share of the layers that come last, in (0, 1]. `()` asks for none.
    """

    logits: bool = True
    shadow_logits: bool = False
    attentions: float | tuple[int, ...] = ()

    def layers(self, num_layers: int) -> tuple[int, ...]:
        """Indices of the layers whose attention is wanted, of a model that has `num_layers`.

        Raises:
            ValueError: the model has no such layer, or the share lies outside (0, 1].
        """
        wanted = self.attentions
        if isinstance(wanted, tuple):
            if any(not -num_layers <= index < num_layers for index in wanted):
                raise ValueError(f"attentions={wanted!r} names a layer that is not there; the model has {num_layers}")
            return tuple(sorted({index % num_layers for index in wanted}))
        if not 0 < wanted <= 1:
            raise ValueError(f"attentions={wanted!r} should be indices of layers, or a share of them in (0, 1]")
        return tuple(range(num_layers - math.ceil(wanted * num_layers), num_layers))


#: What a scheduler wants by default.
JUST_LOGITS = Wants()
#: A greedy proposal and its scores at the masked positions are all that is read.
PROPOSAL_ALONE = Wants(logits=False)


@dataclass(frozen=True, slots=True)
class ModelView:
    """What one look at the model gives for a window. A field that the scheduler does not want may be None.

    Attributes:
        logits: (batch, window, vocab), any float dtype, aligned with the tokens; None where `proposal` stands in.
        shadow_logits: (batch, window, vocab), at the shadow tokens.
        attentions: (batch, layers, window, window), float32: for each wanted layer the weight that a position (dim 2)
            gives to another of the window (dim 3), the mean over the heads. Rows sum to less than 1 where a position
            looks at the prompt too.
        proposal: the greedy proposal of each masked position, worked out before.
    """

    logits: Tensor | None
    shadow_logits: Tensor | None = None
    attentions: Tensor | None = None
    proposal: RecordedProposal | None = None

    @property
    def model_output(self) -> Tensor | ModelView:
        """What a scheduler's `step` is handed: the logits where there is nothing else, for schedulers without views."""
        alone = self.shadow_logits is None and self.attentions is None and self.proposal is None
        return self.logits if alone and self.logits is not None else self

    def checked(self, wants: Wants, giver: Any) -> ModelView:
        """This view, if it holds all that is wanted.

        Raises:
            ValueError: it does not; the message names the class of `giver`.
        """
        missing = [
            name
            for name, lacks in (
                ("logits", self.logits is None and (wants.logits or self.proposal is None)),
                ("shadow_logits", wants.shadow_logits and self.shadow_logits is None),
                ("attentions", bool(wants.attentions) and self.attentions is None),
            )
            if lacks
        ]
        if missing:
            names = " and no ".join(missing)
            raise ValueError(f"{type(giver).__name__} gave no {names}, which this scheduler wants")
        return self
