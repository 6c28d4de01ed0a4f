"""What a scheduler wants of one look at the model, and the record that it gets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from .proposals import RecordedProposal


@dataclass(frozen=True, slots=True)
class Annealing:
    """A temperature that falls evenly from the first step of a block to the last, as DiffusionGemma's sampler has it.

    Attributes:
        highest, lowest: the temperature at the first step; and what it would be after the last.
        steps: how many steps there are; later ones are as warm as the last.
    """

    highest: float
    lowest: float
    steps: int

    def temperature(self, step: Tensor) -> Tensor:
        """Of steps counted from 0, long; float32, the same shape."""
        left = (self.steps - step).clamp(min=1)
        return self.lowest + (self.highest - self.lowest) * (left / self.steps)


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
        annealing: by what temperatures a model that is told what it last said (self-conditioning) should be told; None
            means what it said, as it is. Other models do not read it.
        drafts: how many states of a row, at most, it may ask to see beside the present one: its outputs then have
            `drafts` and `num_drafts`, see `DraftingOutput`.

    Raises:
        ValueError: drafts are wanted together with shadow tokens or attentions.
    """

    logits: bool = True
    shadow_logits: bool = False
    attentions: float | tuple[int, ...] = ()
    annealing: Annealing | None = None
    drafts: int = 0

    def __post_init__(self) -> None:
        if self.drafts and (self.shadow_logits or self.attentions):
            raise ValueError(f"drafts={self.drafts} come with logits alone, and not with shadow_logits or attentions")

    def layers(self, num_layers: int) -> tuple[int, ...]:
        """Indices of the layers whose attention is wanted, of a model that has `num_layers`.

        Raises:
            ValueError: the model has no such layer, or the share lies outside (0, 1].
        """
        wanted = self.attentions
        if isinstance(wanted, tuple):
            if any(not -num_layers <= index < num_layers for index in wanted):
                raise ValueError(f"attentions={wanted!r} names a layer that does not exist; the model has {num_layers}")
            return tuple(sorted({index % num_layers for index in wanted}))
        if not 0 < wanted <= 1:
            raise ValueError(f"attentions={wanted!r} should be indices of layers, or a share of them in (0, 1]")
        return tuple(range(num_layers - math.ceil(wanted * num_layers), num_layers))


class DraftingOutput(Protocol):
    """What the `step` of a scheduler that wants drafts returns beside the fields of every output.

    Attributes:
        drafts: (batch, most, window), long: states to see in the next look, in which some masked positions of
            `prev_sample` hold tokens.
        num_drafts: (batch,), long: how many of them each row needs; what stands behind those is not looked at.
    """

    drafts: Tensor
    num_drafts: Tensor


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
        draft_logits: (batch + drafts, window, vocab): at the present state of every row, as `logits`, and then at the
            drafts, row by row in the order in which the scheduler named them. None where none were asked for.
        num_drafts: (batch,), long: how many drafts of each row there are.
    """

    logits: Tensor | None
    shadow_logits: Tensor | None = None
    attentions: Tensor | None = None
    proposal: RecordedProposal | None = None
    draft_logits: Tensor | None = None
    num_drafts: Tensor | None = None

    @property
    def model_output(self) -> Tensor | ModelView:
        """What a scheduler's `step` is handed: the logits where there is nothing else, for schedulers without views."""
        others = (self.shadow_logits, self.attentions, self.proposal, self.draft_logits)
        alone = all(other is None for other in others)
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
            raise ValueError(f"{type(giver).__name__} gave no {names}, which this scheduler reads")
        return self
