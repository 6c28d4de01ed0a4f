"""Random order: the baseline that masked diffusion models are trained for."""

from .scheduling_quota import QuotaScheduler


class RandomScheduler(QuotaScheduler):
    """Commits tokens at uniformly random positions.

    The order of LLaDA's random remasking (arXiv 2502.09992) and of plain ancestral sampling. The noise comes from the
    generator given to `step`. For the arguments see `QuotaScheduler`.
    """

    score_name = "random"
