"""EB-Sampler: as many tokens as an entropy budget pays for."""

from __future__ import annotations

import math

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .proposals import Proposal
from .scheduling_utils import Step, UnmaskingScheduler
from .scores import SCORES
from .selection import ranks
from .validation import check_choice, check_range
from .views import PROPOSAL_ALONE


class EBScheduler(UnmaskingScheduler):
    """Commits the largest set of surest tokens whose joint entropy is bounded, at least one.

    With the masked positions in order, surest first, and their entropies H_1, H_2, ... in nats, the first n are
    committed, n as large as H_1 + ... + H_n - max(H_1 ... H_n) <= `entropy_bound` allows. The left side bounds what
    is lost by drawing the n tokens independently (Ben-Hamu et al., EB-Sampler, arXiv 2505.24857). Compares with <=.

    Args:
        entropy_bound: the budget in nats, at least 0; the paper's gamma, 0.1. With 0, one token is committed, and all
            whose entropy is 0.
        order: the score that puts the positions in order: "entropy", or any other of `ThresholdScheduler`'s.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    _reads = PROPOSAL_ALONE
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        entropy_bound: float = 0.1,
        order: str = "entropy",
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_range("entropy_bound", entropy_bound, 0, math.inf, "a number of at least 0", optional=False)
        check_choice("order", order, SCORES)
        self.score_name = order
        self._configure()

    def score(self, step: Step, proposal: Proposal) -> Tensor:
        # Asked for first, so that one pass over the logits finds it together with the rest.
        proposal.negative_entropy()
        return super().score(step, proposal)

    def select(self, step: Step, scores: Tensor) -> Tensor:
        rank = ranks(scores, step.masked)
        entropy = scores.neg() if self.score_name == "entropy" else step.proposal.negative_entropy().neg()
        by_rank = torch.zeros_like(entropy).scatter(1, rank, entropy.masked_fill(~step.masked, 0))
        affordable: Tensor = by_rank.cumsum(dim=1) - by_rank.cummax(dim=1).values <= self.config.entropy_bound
        # What a further token adds is never negative, so the affordable ranks are the first ones.
        count = affordable.sum(dim=1).clamp(min=1)
        return step.masked & (rank < count.unsqueeze(1))
