"""RCR: commit generously, then mask again what was least sure when it was committed."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .proposals import Proposal
from .scheduling_quota import QuotaScheduler
from .scheduling_utils import Step
from .selection import surest
from .state import SampleState
from .validation import check_choice
from .views import PROPOSAL_ALONE

SCOPES = ("window", "sequence")


class RCRScheduler(QuotaScheduler):
    """Running-confidence remasking: every step commits all that is still due and masks the least sure again.

    With n_1 ... n_S the quota of each step of a block, step i commits the n_i + ... + n_S surest masked tokens,
    remembers the confidence of each, and masks the n_(i+1) + ... + n_S committed tokens with the lowest remembered
    confidence again, so that exactly that many are masked after it (He et al., MDPO, arXiv 2508.13148).

    Args:
        k: tokens per step, 1 where nothing else is given.
        num_inference_steps: steps per block instead of `k`; m masked tokens are shared as `schedule` says.
        schedule, eps: see `QuotaScheduler`.
        scope: "window" revises the block at hand only, as caches need; "sequence" may mask tokens of earlier blocks
            again (the window then starts at the first generated position and grows with every block).
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    _reads = PROPOSAL_ALONE
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        k: int | None = None,
        num_inference_steps: int | None = None,
        schedule: str = "even",
        eps: float = 1e-3,
        scope: str = "window",
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_choice("scope", scope, SCOPES)
        self.scope = scope
        self._configure()

    def _new_state(self) -> SampleState:
        # A token that was never committed here, such as one of a prefilled answer, is infinitely sure.
        return SampleState(per_position={"confidence": torch.inf})

    def select(self, step: Step, scores: Tensor) -> Tensor:
        # At the start of a block all that is due is all that is masked; only a callback can leave more.
        return surest(scores, step.masked, step.masked.sum(dim=1))

    def revise(self, step: Step, proposal: Proposal, committed: Tensor, transfer_index: Tensor) -> Tensor:
        confidence = torch.where(transfer_index, proposal.confidence, self._state["confidence"])
        masked_count = step.masked.sum(dim=1)
        due_later = masked_count - self.quota(masked_count)
        remask = surest(-confidence, confidence.isfinite(), due_later)
        self._state["confidence"] = confidence.masked_fill(remask, torch.inf)
        return remask
