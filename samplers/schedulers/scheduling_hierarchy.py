"""Hierarchy: divide and conquer; every gap between known tokens gets one token per step."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .scheduling_utils import Step, UnmaskingScheduler
from .selection import or_surest, ranks
from .validation import check_range
from .views import PROPOSAL_ALONE


class HierarchyScheduler(UnmaskingScheduler):
    """Commits the surest token of every run of masks, and whatever is sure anyway.

    The surest token of each contiguous run of masked positions is committed if its confidence is > `low_threshold`,
    and every token with a confidence > `threshold`; if there is none, the surest of the row. Both compare strictly
    (hierarchical decoding of dInfer, arXiv 2510.08666).

    Args:
        threshold: in [0, 1], 0.9 by default.
        low_threshold: in [0, 1], 0.4 by default.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    _reads = PROPOSAL_ALONE
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        threshold: float = 0.9,
        low_threshold: float = 0.4,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_range("threshold", threshold, 0, 1, "in [0, 1]", optional=False)
        check_range("low_threshold", low_threshold, 0, 1, "in [0, 1]", optional=False)
        self._configure()

    def select(self, step: Step, scores: Tensor) -> Tensor:
        masked = step.masked
        starts = masked & ~torch.nn.functional.pad(masked, (1, 0))[:, :-1]
        # Run 0 holds what stands before the first mask; unmasked positions rank behind all others of their run.
        run = starts.long().cumsum(dim=1)
        rank = ranks(scores, masked)
        unranked = torch.full((len(rank), rank.shape[1] + 1), rank.shape[1], device=rank.device)
        best = unranked.scatter_reduce(1, run, rank, "amin").gather(1, run)
        best_of_run = (rank == best) & (scores > self.config.low_threshold)
        chosen: Tensor = masked & (best_of_run | (scores > self.config.threshold))
        return or_surest(chosen, scores, masked)
