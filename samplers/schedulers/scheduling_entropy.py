"""Entropy order: positions whose distribution is least uncertain come first."""

from .scheduling_quota import QuotaScheduler


class EntropyScheduler(QuotaScheduler):
    """Commits where the entropy of the model's distribution is lowest.

    The entropy rule of Dream's sampler (arXiv 2508.15487). For the arguments see `QuotaScheduler`.
    """

    score_name = "entropy"
