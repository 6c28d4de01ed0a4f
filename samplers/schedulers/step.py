"""What one step of a scheduler starts from, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass

from diffusers.utils.outputs import BaseOutput
from torch import Tensor

from .proposals import Generators, Proposal
from .views import ModelView


@dataclass
class UnmaskingSchedulerOutput(BaseOutput):
    """What one step of a scheduler returns.

    Attributes:
        prev_sample: (batch, window), long: the sample after this step.
        transfer_index: bool (batch, window): positions committed in this step.
        remask_index: bool (batch, window): positions that this step turned back into masks.
        replace_index: bool (batch, window): positions whose token this step replaced by the proposed one.
        editing_transfer_index: both of these, under the name by which diffusers' `LLaDA2Pipeline` applies them.
        sampled_tokens: (batch, window), long: the proposed tokens, at every position.
        sampled_probs: (batch, window): probability of each proposed token.
        invalid: bool (batch,): rows with a masked position whose score is not finite, as NaN logits make it.
        unsettled: bool (batch,): rows without a masked position that the method wants to look at once more; None for
            a method that never does.
        pred_logits: (batch, window, vocab): what a model of uniform noise is to be told at the next step; None on a
            sample with masks.
    """

    prev_sample: Tensor
    transfer_index: Tensor
    remask_index: Tensor
    replace_index: Tensor
    editing_transfer_index: Tensor
    sampled_tokens: Tensor
    sampled_probs: Tensor
    invalid: Tensor
    unsettled: Tensor | None = None
    pred_logits: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step as the decisions of a scheduler see it.

    Attributes:
        sample: (batch, window), long: the tokens before the step.
        masked: bool (batch, window): the positions that may be committed.
        fresh: bool (batch,): rows seen for the first time, of which nothing is remembered.
        mask_token_id: id of the mask token.
        generator: the noise source, for `uniform`.
        threshold, editing_threshold: what the caller of `step` passed; None if nothing.
        view: all that the look at the model gave; see `Wants`.
        chosen: what `propose` returned, for the decisions after it.
    """

    sample: Tensor
    masked: Tensor
    fresh: Tensor
    mask_token_id: int
    generator: Generators
    view: ModelView
    threshold: float | None = None
    chosen: Proposal | None = None
    editing_threshold: float | None = None

    @property
    def proposal(self) -> Proposal:
        """What `propose` returned; only the decisions after it may ask."""
        if self.chosen is None:
            raise AttributeError("nothing is proposed yet")
        return self.chosen

    def called(self, name: str, own: float | None) -> float:
        """A scheduler's own "threshold" or "editing_threshold"; if that is None, the one passed to `step`.

        Raises:
            ValueError: neither is given.
        """
        called: float | None = getattr(self, name)
        threshold = own if own is not None else called
        if threshold is None:
            raise ValueError(f"{name}=None: give a number to the constructor or to step()")
        return threshold
