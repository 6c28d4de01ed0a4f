"""LocalLeap: what stands near a sure token has to be less sure."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .scheduling_utils import Step, UnmaskingScheduler
from .selection import surest
from .validation import check_count, check_range
from .views import PROPOSAL_ALONE


class LocalLeapScheduler(UnmaskingScheduler):
    """Commits all with a confidence >= `threshold`, near those all >= `near_threshold`, and the surest in any case.

    Near means at most `radius` positions from a masked token that has reached `threshold` in this step, its anchor (the
    rule of local determinism propagation; LocalLeap, arXiv 2510.07081). Compares with >=.

    Args:
        threshold: in [0, 1], 0.9 by default.
        near_threshold: in [0, 1], 0.75 by default; above `threshold` it changes nothing.
        radius: positions to either side of an anchor, at least 0; 4 by default.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    speed_parameter = "near_threshold"
    adaptive = True
    speed_values = (0.5, 0.6, 0.7, 0.75, 0.8)

    _reads = PROPOSAL_ALONE
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        threshold: float = 0.9,
        near_threshold: float = 0.75,
        radius: int = 4,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_range("threshold", threshold, 0, 1, "in [0, 1]", optional=False)
        check_range("near_threshold", near_threshold, 0, 1, "in [0, 1]", optional=False)
        check_count("radius", radius, optional=False, least=0)
        self._configure()

    def select(self, step: Step, scores: Tensor) -> Tensor:
        anchors = step.masked & (scores >= self.config.threshold)
        # An anchor reaches `radius` to either side exactly if a window of that reach around a position holds one.
        reach = min(self.config.radius, scores.shape[1])
        near = torch.nn.functional.max_pool1d(
            anchors.to(torch.float32).unsqueeze(1), kernel_size=2 * reach + 1, stride=1, padding=reach
        )
        relaxed = step.masked & (near.squeeze(1) > 0) & (scores >= self.config.near_threshold)
        chosen: Tensor = anchors | relaxed | surest(scores, step.masked, 1)
        return chosen
