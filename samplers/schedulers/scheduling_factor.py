"""Factor: as many tokens as the product of their number and their doubt allows."""

from __future__ import annotations

import math

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .scheduling_utils import Step, UnmaskingScheduler
from .scores import SCORES
from .selection import ranks
from .validation import check_choice, check_range
from .views import PROPOSAL_ALONE

RULES = ("theorem", "reference_code")


class FactorScheduler(UnmaskingScheduler):
    """Commits the n surest tokens, n as large as (n + 1)(1 - c_n) < factor allows, at least one.

    c_n is the n-th highest score of the row. The factor rule of Fast-dLLM (arXiv 2505.22618, from its theorem on greedy
    parallel decoding).

    Args:
        factor: the bound, above 0; 1.0 by default.
        score: what takes the place of the confidence; see `ThresholdScheduler`.
        rule: "theorem" is the rule above. "reference_code" is what the published numbers were made with: the surest
            token is committed in any case, the next ones while the rule holds, and where only the very last masked
            token fails, it too.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    _reads = PROPOSAL_ALONE
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        factor: float = 1.0,
        score: str = "confidence",
        rule: str = "theorem",
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_range("factor", factor, 0, math.inf, "a number above 0", lower_open=True, optional=False)
        check_choice("score", score, SCORES)
        check_choice("rule", rule, RULES)
        self.score_name = score
        self._configure()

    def select(self, step: Step, scores: Tensor) -> Tensor:
        rank = ranks(scores, step.masked)
        # Ranks count from 0: n + 1 is rank + 2.
        holds = step.masked & ((rank + 2) * (1 - scores) < self.config.factor)
        # The rule has to hold for every surer token too: count how many hold before the first that fails.
        by_rank = torch.zeros_like(holds).scatter(1, rank, holds)
        if self.config.rule == "reference_code":
            by_rank[:, 0].fill_(True)
        count = by_rank.long().cumprod(dim=1).sum(dim=1)
        masked_count = step.masked.sum(dim=1)
        if self.config.rule == "reference_code":
            count = torch.where(count == masked_count - 1, masked_count, count)
        return step.masked & (rank < count.clamp(min=1).unsqueeze(1))
