"""DUS: positions far apart first, then those between them, whatever the model says."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .scheduling_utils import Step, UnmaskingScheduler
from .selection import surest
from .state import SampleState
from .validation import check_count, check_range
from .views import PROPOSAL_ALONE


class DilatedScheduler(UnmaskingScheduler):
    """Commits the positions that are multiples of a stride, which shrinks by `base` at each step.

    Step t of a window of B tokens takes the masked positions that are 0 modulo max(floor(B / base^t), 1), so a block
    takes about log(B) steps, and tokens drawn together stand far apart (Luxembourg et al., DUS, arXiv 2506.19037). A
    stride that finds nothing masked in a row is passed over, so every step commits at least one token.

    Args:
        base: what the stride is divided by at each step, at least 2.
        skip_below: leave a position for a later step if its confidence is < this, in [0, 1]; None skips nothing. The
            surest position of a step is always committed, and the last stride, 1, takes all that is left. The paper
            uses 0.3.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    _reads = PROPOSAL_ALONE
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        base: int = 2,
        skip_below: float | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_count("base", base, optional=False, least=2)
        check_range("skip_below", skip_below, 0, 1, "in [0, 1]")
        self._configure()

    def _new_state(self) -> SampleState:
        # stride_index: the first stride of the list that a row has not tried yet.
        return SampleState({"stride_index": 0})

    def _steps_per_block(self, num_inference_steps: int | None, block_length: int) -> int | None:
        return len(self.strides(block_length))

    def strides(self, window: int) -> list[int]:
        """The strides of a window of that many tokens, one a step; the last is 1."""
        base = self.config.base
        strides = [max(window // base, 1)]
        while strides[-1] > 1:
            strides.append(max(window // base ** (len(strides) + 1), 1))
        return strides

    def select(self, step: Step, scores: Tensor) -> Tensor:
        window, device = step.sample.shape[1], step.sample.device
        count = len(self.strides(window))
        index = torch.arange(count, device=device)
        strides = (window // torch.pow(self.config.base, index + 1)).clamp(min=1)
        on_grid = torch.arange(window, device=device) % strides.unsqueeze(1) == 0
        tried = self._state["stride_index"].clamp(max=count - 1).unsqueeze(1)
        useful = (step.masked.unsqueeze(1) & on_grid).any(dim=2) & (index >= tried)
        chosen = useful.long().argmax(dim=1)
        chosen = torch.where(useful.any(dim=1), chosen, count - 1)
        due = step.masked & on_grid[chosen]
        self._state["stride_index"] = torch.where(step.masked.any(dim=1), chosen + 1, self._state["stride_index"])
        if self.config.skip_below is None:
            return due
        last = (chosen == count - 1).unsqueeze(1)
        confidence = step.proposal.confidence
        sure: Tensor = confidence >= self.config.skip_below
        return due & (last | sure | surest(confidence, due, 1))
