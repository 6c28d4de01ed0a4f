"""Confidence order: the tokens that the model finds likeliest come first."""

from .scheduling_quota import QuotaScheduler


class ConfidenceScheduler(QuotaScheduler):
    """Commits the tokens whose own probability is highest.

    MaskGIT's order (arXiv 2202.04200), known as low-confidence remasking in LLaDA (arXiv 2502.09992).
    For the arguments see `QuotaScheduler`.
    """

    score_name = "confidence"
