"""Threshold: everything that is sure enough is committed at once."""

from __future__ import annotations

import math

from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .scheduling_utils import Step, UnmaskingScheduler
from .scores import SCORES
from .selection import or_surest
from .speeds import ADAPTIVE_SPEEDS
from .validation import check_choice, check_flag, check_range
from .views import PROPOSAL_ALONE


class ThresholdScheduler(UnmaskingScheduler):
    """Commits every token whose score reaches a threshold, or the surest one where none does.

    The parallel decoding rule of Fast-dLLM (arXiv 2505.22618), which compares with >=; SDAR, LLaDA 2 and others
    compare with >, which `strict=True` does.

    Args:
        threshold: what the score must reach, 0.9 by default. For `score="entropy"` an entropy in nats that must not be
            exceeded. Given as None it is taken from the call of `step`.
        score: "confidence", "margin", "entropy", "random" or "left_to_right".
        strict: True leaves out scores that equal the threshold.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    # What is certain reaches 1 in floating-point numbers, so that >= commits several tokens even there.
    speed_values = (*ADAPTIVE_SPEEDS["threshold"], 1.0)

    _reads = PROPOSAL_ALONE
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        threshold: float | None = 0.9,
        score: str = "confidence",
        strict: bool = False,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_range("threshold", threshold, -math.inf, math.inf, "a number")
        check_choice("score", score, SCORES)
        check_flag("strict", strict)
        self.score_name = score
        self._configure()

    def select(self, step: Step, scores: Tensor) -> Tensor:
        threshold = step.called("threshold", self.config.threshold)
        # Scores grow with sureness, so a bound on the entropy from above is one on its negative from below.
        bound = -threshold if self.score_name == "entropy" else threshold
        enough = step.masked & ((scores > bound) if self.config.strict else (scores >= bound))
        return or_surest(enough, scores, step.masked)
