"""Quota with a threshold: the quota at least, and more where more is sure."""

from __future__ import annotations

from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .scheduling_quota import QuotaScheduler
from .scheduling_utils import Step
from .selection import surest
from .validation import check_range
from .views import PROPOSAL_ALONE


class QuotaThresholdScheduler(QuotaScheduler):
    """Commits all tokens whose confidence is > `threshold` if they fill the quota, else the quota's surest.

    The block refinement of LLaDA 2.0 (arXiv 2512.15745; in diffusers, `BlockRefinementScheduler`) and SDAR's dynamic
    decoding (arXiv 2510.06303), which uses a threshold of 0.85. Compares with >.

    Args:
        threshold: in [0, 1], 0.95 by default. Given as None it is taken from the call of `step`.
        k, num_inference_steps, schedule, eps: the quota; see `QuotaScheduler`.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    _reads = PROPOSAL_ALONE
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        threshold: float | None = 0.95,
        k: int | None = None,
        num_inference_steps: int | None = None,
        schedule: str = "even",
        eps: float = 1e-3,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_range("threshold", threshold, 0, 1, "in [0, 1]")
        self._configure()

    def select(self, step: Step, scores: Tensor) -> Tensor:
        threshold = step.called("threshold", self.config.threshold)
        enough = step.masked & (scores > threshold)
        quota = self.quota(step.masked.sum(dim=1))
        fills = (enough.sum(dim=1) >= quota).unsqueeze(1)
        return (enough & fills) | (surest(scores, step.masked, quota) & ~fills)
