"""Token editing: what was committed may be replaced as long as its block is open, and for some steps after that."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .proposals import Proposal
from .scheduling_quota_threshold import QuotaThresholdScheduler
from .scheduling_utils import Step
from .state import SampleState
from .validation import check_count, check_range


class EditingScheduler(QuotaThresholdScheduler):
    """The rule of `QuotaThresholdScheduler`, and better tokens in the place of those it has committed.

    At every step a token that an earlier one committed in this block is replaced by the proposed one where that differs
    and its confidence is > `editing_threshold`. Once nothing in a row is masked the model looks at it again until
    nothing changes, at most `max_post_steps` times; each look is a forward pass, the last one, which changes nothing,
    too (token editing of LLaDA 2.1, arXiv 2602.08676). Both thresholds compare with >.

    Args:
        threshold: in [0, 1], 0.7 by default. Given as None it is taken from the call of `step`.
        editing_threshold: in [0, 1], 0.5 by default; 0 replaces whatever differs. The model's authors name, with
            `threshold`, 0.7 and 0.5 for quality, and 0.5 and 0 for speed. None as for `threshold`.
        max_post_steps: looks at a row without masks, at least 0; 16 by default.
        k, num_inference_steps, schedule, eps: the quota; see `QuotaScheduler`.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        threshold: float | None = 0.7,
        editing_threshold: float | None = 0.5,
        max_post_steps: int = 16,
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
        check_range("editing_threshold", editing_threshold, 0, 1, "in [0, 1]")
        check_count("max_post_steps", max_post_steps, optional=False, least=0)
        self._configure()

    def _new_state(self) -> SampleState:
        return SampleState({"unsettled": 0, "post_steps": 0}, {"committed": 0})

    def replace(self, step: Step, proposal: Proposal, committed: Tensor, transfer_index: Tensor) -> Tensor:
        state, looking = self._state, step.masked.any(dim=1)
        again = (state["unsettled"] > 0) & ~looking
        least = step.called("editing_threshold", self.config.editing_threshold)
        better = (proposal.tokens != step.sample) & (proposal.confidence > least)
        replaced = (state["committed"] == 1) & better & (looking | again).unsqueeze(1)
        filled = looking & ~(step.masked & ~transfer_index).any(dim=1)
        state["post_steps"] = state["post_steps"] + again
        more = (filled | (again & replaced.any(dim=1))) & (state["post_steps"] < self.config.max_post_steps)
        state["unsettled"] = more.long()
        state["committed"] = torch.where(transfer_index, 1, state["committed"])
        return replaced
