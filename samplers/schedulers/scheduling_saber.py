"""Saber: faster the surer the text so far was, and back where a token has lost its ground."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .proposals import Proposal
from .scheduling_utils import Step, UnmaskingScheduler
from .selection import surest
from .state import SampleState
from .validation import check_count

#: One token is taken back for every so many that were committed.
COMMITTED_PER_REMASKED = 8
#: Tokens that a step commits at least, where nothing is said.
DEFAULT_K = 2


class SaberScheduler(UnmaskingScheduler):
    """Commits what is surer than the committed tokens were on average, then masks again what has become doubtful.

    A step commits every token whose confidence is > the mean confidence that tokens were committed with so far, at
    least the `k` surest. If n were committed and the block is not finished, max(floor(k / 2), ceil(n / 8)) tokens, but
    fewer than n, are masked again: those committed in earlier steps whose probability has fallen most since the step
    before (Dong et al., Saber, arXiv 2510.18165, and its published code, which counts n, not what is left).

    Args:
        k: tokens committed at least, 2 where nothing is given.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        k: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_count("k", k)
        self._configure()

    def _new_state(self) -> SampleState:
        # committed_at: confidence of a position's last commit, kept when it is masked again; negative before the first.
        # probability: that of the token in place at the last look.
        return SampleState(per_position={"committed_at": -1.0, "probability": 0.0})

    def score(self, step: Step, proposal: Proposal) -> Tensor:
        # Asked for first, so that one pass over the logits finds it together with the confidence.
        proposal.probability_of(step.sample)
        return proposal.confidence

    def select(self, step: Step, scores: Tensor) -> Tensor:
        committed_at = self._state["committed_at"]
        known = committed_at >= 0
        total = committed_at.masked_fill(~known, 0).sum(dim=1)
        # Before anything is committed no confidence is high enough.
        mean = torch.where(known.any(dim=1), total / known.sum(dim=1).clamp(min=1), 1)
        return step.masked & ((scores > mean.unsqueeze(1)) | surest(scores, step.masked, self.config.k or DEFAULT_K))

    def revise(self, step: Step, proposal: Proposal, committed: Tensor, transfer_index: Tensor) -> Tensor:
        state = self._state
        revisable = ~step.masked & (state["committed_at"] >= 0)
        probability = torch.where(transfer_index, proposal.confidence, proposal.probability_of(step.sample))
        fallen = state["probability"] - probability
        count = transfer_index.sum(dim=1)
        unfinished = (step.masked & ~transfer_index).any(dim=1)
        share = (count + COMMITTED_PER_REMASKED - 1) // COMMITTED_PER_REMASKED
        due = torch.minimum(share.clamp(min=(self.config.k or DEFAULT_K) // 2), count - 1) * unfinished
        state["committed_at"] = torch.where(transfer_index, proposal.confidence, state["committed_at"]).float()
        state["probability"] = probability.float()
        return surest(fallen, revisable, due)
