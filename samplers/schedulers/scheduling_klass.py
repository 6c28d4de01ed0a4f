"""KLASS: what is sure, and has been predicted the same way for a while, is committed at once."""

from __future__ import annotations

import math

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .proposals import Proposal
from .scheduling_quota import QuotaScheduler
from .scheduling_utils import Step
from .selection import or_surest
from .state import SampleState
from .validation import check_count, check_range

#: Probabilities below this count as it where their logarithm is taken; the published code adds as much to all.
SMALLEST = 1e-12


class KLASSScheduler(QuotaScheduler):
    """Commits every token that is sure and stable; where none is, the quota's surest, at least one.

    Sure is a confidence > `threshold`; stable is KL(p_t || p_(t-1)) < `kl_threshold` in each of the last `history`
    steps, p_t being the distribution of step t at that position. Both compare strictly (Kim et al., KLASS,
    arXiv 2511.05664). The first step of a block has nothing to compare with and counts as unstable.

    Args:
        threshold: in [0, 1], 0.9 by default; the paper uses 0.6 to 0.9 for LLaDA and 0.9 for Dream.
        kl_threshold: in nats, 0.01 by default; 0.01 to 0.015 for LLaDA and 0.001 for Dream in the paper.
        history: steps in a row that have to be stable, 2 by default.
        k, num_inference_steps, schedule, eps: the quota where no token is ready; see `QuotaScheduler`.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        threshold: float = 0.9,
        kl_threshold: float = 0.01,
        history: int = 2,
        k: int | None = None,
        num_inference_steps: int | None = None,
        schedule: str = "even",
        eps: float = 1e-3,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_range("threshold", threshold, 0, 1, "in [0, 1]", optional=False)
        check_range("kl_threshold", kl_threshold, 0, math.inf, "a number above 0", lower_open=True, optional=False)
        check_count("history", history, optional=False)
        self._configure()

    def _new_state(self) -> SampleState:
        return SampleState(per_position={"stable_steps": 0}, per_token=["log_probabilities"])

    def score(self, step: Step, proposal: Proposal) -> Tensor:
        # Asked for first, so that one pass over the logits finds it together with the confidence.
        divergence = self._divergence(step, proposal)
        stable = (divergence < self.config.kl_threshold) & ~step.fresh.unsqueeze(1)
        self._state["stable_steps"] = torch.where(stable, self._state["stable_steps"] + 1, 0)
        return super().score(step, proposal)

    def select(self, step: Step, scores: Tensor) -> Tensor:
        ready: Tensor = (
            step.masked & (scores > self.config.threshold) & (self._state["stable_steps"] >= self.config.history)
        )
        quota = self.quota(step.masked.sum(dim=1)).clamp(min=1)
        return or_surest(ready, scores, step.masked, quota)

    def _divergence(self, step: Step, proposal: Proposal) -> Tensor:
        """KL divergence from the last step's distributions to the present ones, (batch, window), which it remembers."""
        state = self._state

        def divergence(where: slice, values: Tensor, probabilities: Tensor) -> Tensor:
            previous = state.get("log_probabilities")
            if previous is None:
                previous = values.new_zeros((*step.sample.shape, proposal.vocab_size))
                state["log_probabilities"] = previous
            # Worked out in place: fresh memory for every range would cost more than the arithmetic.
            shift = values.amax(dim=-1, keepdim=True) - probabilities.amax(dim=-1, keepdim=True).log()
            present, before = values.sub_(shift).clamp_(min=math.log(SMALLEST)), previous[:, where]
            found = before.sub_(present).mul_(probabilities).sum(dim=-1).neg()
            before.copy_(present)
            return found

        return proposal.measure("divergence", divergence)
