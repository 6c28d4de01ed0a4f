"""WINO: commit boldly, and take back what the rest of the text does not bear out."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .proposals import Proposal
from .scheduling_utils import Step, UnmaskingScheduler
from .selection import surest
from .state import SampleState
from .validation import check_range
from .views import Wants

#: A step may commit this many tenths of the masked tokens, but no fewer and no more than these numbers.
COMMIT_TENTHS, COMMIT_LEAST, COMMIT_MOST = 7, 5, 20
#: What counts as the number of tokens committed before the first step.
COMMITTED_BEFORE = 30


class WINOScheduler(UnmaskingScheduler):
    """Wide in, narrow out: commits much at a low threshold and verifies it at shadow tokens.

    A step commits the tokens with a confidence > `threshold`, at least the surest and at most
    min(max(floor(0.7 m), 5), 20) of the m masked ones. If it commits more than one, those committed in earlier steps
    whose probability at their shadow token is < `remask_threshold` go back to mask, the least probable first, and fewer
    than the step before committed. A shadow token is a mask token at the position of a token, which sees the whole
    sequence but that token (Hong et al., WINO, arXiv 2507.18578). Both thresholds compare strictly.

    `step` needs the logits at the shadow tokens, which `generate` gets from models that take an attention mask (batch,
    1, query, key) and position ids, and whose logits are aligned.

    Args:
        threshold: in [0, 1], 0.6 by default.
        remask_threshold: in [0, 1], 0.9 by default.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    wants = Wants(shadow_logits=True)
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        threshold: float = 0.6,
        remask_threshold: float = 0.9,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_range("threshold", threshold, 0, 1, "in [0, 1]", optional=False)
        check_range("remask_threshold", remask_threshold, 0, 1, "in [0, 1]", optional=False)
        self._configure()

    def _new_state(self) -> SampleState:
        return SampleState({"last_count": COMMITTED_BEFORE}, {"committed": 0})

    def select(self, step: Step, scores: Tensor) -> Tensor:
        most = (step.masked.sum(dim=1) * COMMIT_TENTHS // 10).clamp(min=COMMIT_LEAST, max=COMMIT_MOST)
        enough = step.masked & (scores > self.config.threshold)
        return surest(scores, step.masked, torch.minimum(enough.sum(dim=1).clamp(min=1), most))

    def revise(self, step: Step, proposal: Proposal, committed: Tensor, transfer_index: Tensor) -> Tensor:
        shadows = step.view.shadow_logits
        if shadows is None:
            raise ValueError(
                "WINOScheduler verifies tokens at shadow tokens: step() needs shadow_output, which generate() provides"
            )
        probability = Proposal(shadows, step.mask_token_id).probability_of(step.sample)
        doubtful = (self._state["committed"] == 1) & ~step.masked & (probability < self.config.remask_threshold)
        count = transfer_index.sum(dim=1)
        remask = surest(-probability, doubtful, (self._state["last_count"] - 1) * (count > 1))
        self._state["last_count"] = torch.where(step.masked.any(dim=1), count, self._state["last_count"])
        stays = (self._state["committed"] == 1) & ~remask
        self._state["committed"] = (stays | transfer_index).float()
        return remask
