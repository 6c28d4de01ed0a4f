"""Left to right: the order of an autoregressive model, several tokens at a time."""

from .scheduling_quota import QuotaScheduler


class LeftToRightScheduler(QuotaScheduler):
    """Commits the leftmost masked tokens of the window. For the arguments see `QuotaScheduler`."""

    score_name = "left_to_right"
    blocks_follow_k = True
