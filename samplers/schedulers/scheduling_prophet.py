"""Prophet: once the model is decided on the whole answer, commit it and stop."""

from __future__ import annotations

import math

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .proposals import Proposal
from .scheduling_quota import QuotaScheduler
from .scheduling_utils import Step
from .validation import check_range
from .views import PROPOSAL_ALONE

#: Shares of the steps at which the early phase and the middle phase end.
EARLY_UNTIL, MIDDLE_UNTIL = 0.33, 0.67


class ProphetScheduler(QuotaScheduler):
    """Confidence order that commits all that is left as soon as the model is sure of it as a whole.

    All is committed where the gap between the two highest logits, averaged over the masked positions, is >= a bound
    that falls with the share of the steps taken: `early_gap` before 33 % of them, `middle_gap` before 67 %, then
    `late_gap`. Else the quota is (Li et al., Prophet, arXiv 2508.19982).

    Args:
        early_gap, middle_gap, late_gap: bounds on the mean gap, in logits, at least 0.
        k, num_inference_steps, schedule, eps: the quota; see `QuotaScheduler`. With `k`, a block has
            ceil(block_length / k) steps.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    _reads = PROPOSAL_ALONE
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        early_gap: float = 7.5,
        middle_gap: float = 5.0,
        late_gap: float = 2.5,
        k: int | None = None,
        num_inference_steps: int | None = None,
        schedule: str = "even",
        eps: float = 1e-3,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        for name, gap in (("early_gap", early_gap), ("middle_gap", middle_gap), ("late_gap", late_gap)):
            check_range(name, gap, 0, math.inf, "a number of at least 0", optional=False)
        self._configure()

    def score(self, step: Step, proposal: Proposal) -> Tensor:
        # Asked for first, so that one pass over the logits finds it together with the confidence.
        proposal.logit_gap()
        return proposal.confidence

    def select(self, step: Step, scores: Tensor) -> Tensor:
        masked_count = step.masked.sum(dim=1)
        gap = step.proposal.logit_gap().masked_fill(~step.masked, 0)
        mean_gap = gap.sum(dim=1) / masked_count.clamp(min=1)
        progress = self._state["step_index"] / self._steps
        bound = torch.full_like(mean_gap, self.config.late_gap)
        bound = bound.masked_fill(progress < MIDDLE_UNTIL, self.config.middle_gap)
        decided = mean_gap >= bound.masked_fill(progress < EARLY_UNTIL, self.config.early_gap)
        chosen = super().select(step, scores)
        return torch.where(decided.unsqueeze(1), step.masked, chosen)
