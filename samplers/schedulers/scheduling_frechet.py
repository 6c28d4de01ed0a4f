"""Fréchet profile: as many tokens as can be right together whatever the dependence between them."""

from __future__ import annotations

from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .scheduling_utils import Step, UnmaskingScheduler
from .scores import SCORES
from .selection import ranks
from .validation import check_choice, check_range
from .views import PROPOSAL_ALONE


class FrechetScheduler(UnmaskingScheduler):
    """Commits the n surest tokens, n as large as (1 - c_1) + ... + (1 - c_n) + (1 - c_n) < 1 - delta allows.

    c_n is the n-th highest score of the row; the surest is committed in any case. The first n terms are the Fréchet
    bound: tokens of these probabilities are all right with at least 1 minus their sum, however they depend on each
    other; the last term leaves room for a rival of the least sure one (Fast-dLLM++, arXiv 2606.02955). Where all are
    equally sure this is the factor rule with factor 1 - `delta`, else it commits at least as many. Compares strictly.

    Args:
        delta: in [0, 1), 0.25 by default: how much of a certainty has to be left; the higher, the fewer tokens.
        score: what takes the place of the confidence; see `ThresholdScheduler`.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    speed_parameter = "delta"
    adaptive = True
    speed_values = (0.02, 0.1, 0.2, 0.25, 0.3)

    _reads = PROPOSAL_ALONE
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        delta: float = 0.25,
        score: str = "confidence",
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_range("delta", delta, 0, 1, "in [0, 1)", upper_open=True, optional=False)
        check_choice("score", score, SCORES)
        self.score_name = score
        self._configure()

    def select(self, step: Step, scores: Tensor) -> Tensor:
        rank = ranks(scores, step.masked)
        doubt = (1 - scores).masked_fill(~step.masked, 0)
        by_rank = scores.new_zeros(scores.shape).scatter(1, rank, doubt)
        fits = (by_rank.cumsum(dim=1) + by_rank < 1 - self.config.delta).long()
        # Scores above 1 do not exist, so that the sum grows; where it is not finite nothing fits.
        count = fits.cumprod(dim=1).sum(dim=1).clamp(min=1)
        chosen: Tensor = step.masked & (rank < count.unsqueeze(1))
        return chosen
