"""Margin order: positions where the best token beats the runner-up by most come first."""

from .scheduling_quota import QuotaScheduler


class MarginScheduler(QuotaScheduler):
    """Commits where the gap between the two likeliest tokens is widest.

    The top-k probability margin of Kim et al. (arXiv 2502.06768). For the arguments see `QuotaScheduler`.
    """

    score_name = "margin"
