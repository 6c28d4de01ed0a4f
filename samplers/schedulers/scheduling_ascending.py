"""ASS: one token, then two, then four, so that a block takes a logarithm of its length in steps."""

from __future__ import annotations

from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .scheduling_utils import Step, UnmaskingScheduler
from .scores import SCORES
from .selection import surest
from .validation import check_choice
from .views import PROPOSAL_ALONE


class AscendingScheduler(UnmaskingScheduler):
    """Commits the 2^i surest tokens at step i of a block, and all that is left at the last of floor(log2(window)).

    Early steps, which see little text, commit few tokens (the ascending step size of Yang et al., arXiv 2509.23924, as
    its code shares out one block). That paper's other half, EOSER, which trusts end tokens less at first, is
    `generate(..., eos_handling="discount")` and goes together with it.

    Args:
        score: "confidence", as in the paper, or any other of `ThresholdScheduler`'s.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    _reads = PROPOSAL_ALONE
    _draws_noise = False
    _ranks_by_noise = True

    @register_to_config
    def __init__(
        self,
        *,
        score: str = "confidence",
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_choice("score", score, SCORES)
        self.score_name = score
        self._configure()

    def _steps_per_block(self, num_inference_steps: int | None, block_length: int) -> int | None:
        # floor(log2(block_length)), and one step for a block of one token.
        return max(block_length.bit_length() - 1, 1)

    def select(self, step: Step, scores: Tensor) -> Tensor:
        last = (self._steps_per_block(None, step.sample.shape[1]) or 1) - 1
        index = self._state["step_index"].clamp(max=last)
        count = (2**index).masked_fill(index == last, step.sample.shape[1])
        return surest(scores, step.masked, count)
