"""LoPA: look at several ways to go on at once, and take the one after which the model is surest of the rest."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from typing import Any

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .drafting import DraftingSchedulerOutput, Looks
from .proposals import Proposal
from .scheduling_utils import Step, UnmaskingScheduler, UnmaskingSchedulerOutput
from .selection import or_surest, ranks
from .state import SampleState
from .validation import check_count, check_range
from .views import Wants


class LoPAScheduler(UnmaskingScheduler):
    """Commits all with a confidence > `threshold`, else the surest, and one token more if that makes the rest surest.

    After a step the present state is the anchor branch. Each of the `branches` surest positions left makes a branch of
    its own, in which its token alone is put in place too. The next look sees all of them; the one with the highest mean
    confidence over what it leaves masked is where the next step goes on, and the logits there are known already
    (Lookahead parallel decoding, LoPA, arXiv 2512.16229, algorithm 1). Compares strictly; of equal branches the first
    is taken, and the anchor before all others. A branch that leaves nothing masked has nothing to be sure of, and is
    not made.

    A loop that looks at one state at a time, as that of a pipeline, decodes as the threshold rule does.

    Args:
        threshold: 0.9 by default; in [0, 1].
        branches: how many besides the anchor, at least 0; 7 by default, 14 in some of the paper's runs.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`. How sure a branch is is said of its
            likeliest tokens, at any temperature.
    """

    speed_parameter = "branches"
    adaptive = True
    speed_values = (1, 3, 7, 14)
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        threshold: float = 0.9,
        branches: int = 7,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_range("threshold", threshold, 0, 1, "in [0, 1]", optional=False)
        check_count("branches", branches, optional=False, least=0)
        self._configure()

    @property
    def wants(self) -> Wants:
        return replace(super().wants, logits=True, drafts=self.config.branches)

    # Pipelines of diffusers read in the signature what they may hand over.
    @wraps(UnmaskingScheduler.step, assigned=())
    def step(  # type: ignore[override]
        self, *arguments: Any, return_dict: bool = True, **options: Any
    ) -> DraftingSchedulerOutput | tuple[Tensor, ...]:
        """As `UnmaskingScheduler.step`; `model_output` is a `ModelView` with the logits at the last step's branches.

        The output's `drafts` and `num_drafts` say what the next one should have.
        """
        output = super().step(*arguments, **options)
        if isinstance(output, DraftingSchedulerOutput):
            # Without a mask token the step has been taken with one, by this very method.
            return output if return_dict else output.to_tuple()
        assert isinstance(output, UnmaskingSchedulerOutput)
        rank, tokens = self._state["branch"].long(), self._state["tokens"].squeeze(-1)
        number = torch.arange(1, min(self.config.branches, rank.shape[1]) + 1, device=rank.device)
        drafts = torch.where(rank[:, None] == number[:, None], tokens[:, None], output.prev_sample[:, None])
        found = DraftingSchedulerOutput.extending(output, drafts=drafts, num_drafts=rank.amax(dim=1))
        return found if return_dict else found.to_tuple()

    # -- the decisions -----------------------------------------------------------------------------------------------

    def propose(self, step: Step, model_output: Tensor, **shaping: Any) -> Proposal:
        looks = Looks.of(step.view, model_output)
        best = self._best_branch(step, looks)
        proposal = self._proposal(step, looks.logits, states=looks.index(best), **shaping)
        self._taken = (best.unsqueeze(1) > 0) & (self._state["branch"] == best.unsqueeze(1)) & step.masked
        tokens = self._state.get("tokens")
        if tokens is not None:
            proposal.override(self._taken, tokens.squeeze(-1), self._state["confidence"])
        return proposal

    def select(self, step: Step, scores: Tensor) -> Tensor:
        open_ = step.masked & ~self._taken
        sure = open_ & (scores > self.config.threshold)
        fill = or_surest(sure, scores, open_)
        left = open_ & ~fill
        rank = (ranks(scores, left) + 1).masked_fill(~left, 0)
        # The last token left would leave nothing.
        drafted = (rank <= self.config.branches) & (left.sum(dim=1, keepdim=True) > 1)
        self._state["branch"] = rank.masked_fill(~drafted, 0).float()
        self._state["tokens"] = step.proposal.tokens.unsqueeze(-1)
        self._state["confidence"] = step.proposal.confidence.float()
        chosen: Tensor = self._taken | fill
        return chosen

    # -- the branches ------------------------------------------------------------------------------------------------

    def _new_state(self) -> SampleState:
        return SampleState(per_position={"branch": 0, "confidence": 0}, per_token=["tokens"])

    def _best_branch(self, step: Step, looks: Looks) -> Tensor:
        """The branch of each row that is surest of what it leaves masked, (batch,), long; 0 is the anchor."""
        batch, window = step.sample.shape
        number = torch.arange(min(self.config.branches, window) + 1, device=step.sample.device).expand(batch, -1)
        confidence = Proposal(looks.logits, step.mask_token_id).confidence[looks.index(number)]
        own = (self._state["branch"].unsqueeze(1) == number.unsqueeze(2)) & (number > 0).unsqueeze(2)
        left = step.masked.unsqueeze(1) & ~own
        mean = confidence.masked_fill(~left, 0).sum(dim=2) / left.sum(dim=2).clamp(min=1)
        # What was not looked at, or belongs to a sample that is no longer this one, is no branch.
        there = (number <= looks.counts.unsqueeze(1)) & (own.any(dim=2) | (number == 0))
        return mean.masked_fill(~there, -torch.inf).argmax(dim=1)
