"""The base class of the schedulers that commit a fixed number of tokens per step."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .scheduling_utils import Step, UnmaskingScheduler
from .selection import cosine_shares, even_quota, linear_time_fractions, surest
from .validation import check_choice, check_count, check_range
from .views import PROPOSAL_ALONE

SCHEDULES = ("even", "linear_time", "cosine")


class QuotaScheduler(UnmaskingScheduler):
    """Commits a fixed number of tokens per step: the surest by the score that the subclass names.

    Args:
        k: tokens per step. Where neither `k` nor `num_inference_steps` is given, here or to `set_timesteps`, it is 1.
        num_inference_steps: steps per block instead of `k`.
        schedule: how `num_inference_steps` steps share the m masked tokens of a block. "even": m // S each, the first
            m mod S steps one more. "linear_time" (Dream): step i commits floor(m_i (1 - t[i+1] / t[i])) of the m_i
            tokens masked then, with t = linspace(1, eps, S + 1) in float32, and the last step all that is left; a step
            may commit none. "cosine" (MaskGIT, arXiv 2202.04200): floor(m cos(pi / 2 (i + 1) / S)) are still masked
            after step i, so the first steps commit few tokens and the last ones many; each commits at least one.
        eps: where the time of "linear_time" ends, in [0, 1).

    Raises:
        ValueError: an argument lies outside its range, or both `k` and `num_inference_steps` are given.
    """

    _reads = PROPOSAL_ALONE
    _draws_noise = False
    _ranks_by_noise = True

    @register_to_config
    def __init__(
        self,
        *,
        k: int | None = None,
        num_inference_steps: int | None = None,
        schedule: str = "even",
        eps: float = 1e-3,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        self._configure()

    def _configure(self) -> None:
        k, num_inference_steps = self.config.k, self.config.num_inference_steps
        check_choice("schedule", self.config.schedule, SCHEDULES)
        check_range("eps", self.config.eps, 0, 1, "in [0, 1)", upper_open=True, optional=False)
        check_count("k", k)
        check_count("num_inference_steps", num_inference_steps)
        if k is not None and num_inference_steps is not None:
            raise ValueError(
                f"k={k} and num_inference_steps={num_inference_steps} both say how many tokens a step commits; give one"
            )
        super()._configure()

    def _steps_per_block(self, num_inference_steps: int | None, block_length: int) -> int | None:
        k, given = self.config.k, self.config.num_inference_steps
        asked = given if given is not None else num_inference_steps
        steps = asked if k is None and asked is not None else -(-block_length // (k or 1))
        self._spread = k is None and asked is not None
        self._steps = steps
        self._fractions: Tensor | None = None
        if self.config.schedule == "linear_time":
            self._fractions = linear_time_fractions(steps, self.config.eps)
        elif self.config.schedule == "cosine":
            self._fractions = cosine_shares(steps)
        return steps

    def _counters(self) -> dict[str, int]:
        # first_masked: what was masked at the first step.
        return {**super()._counters(), "first_masked": 0}

    def schedule_index(self) -> Tensor:
        """Which step of its schedule each row is at, (batch,), long."""
        return self._state["step_index"]

    def quota(self, masked_count: Tensor) -> Tensor:
        """How many tokens each row commits at its present step, (batch,), given how many are masked, (batch,)."""
        index = self.schedule_index()
        if self._fractions is not None:
            self._fractions = self._fractions.to(masked_count.device)
            fraction = self._fractions[index.clamp(max=len(self._fractions) - 1)]
            if self.config.schedule == "linear_time":
                return (masked_count.to(torch.float32) * fraction).floor().long()
            first = self._state["step_index"] == 0
            self._state["first_masked"] = torch.where(first, masked_count, self._state["first_masked"])
            left = (self._state["first_masked"].to(torch.float32) * fraction).floor().long()
            return torch.minimum((masked_count - left).clamp(min=1), masked_count)
        if not self._spread:
            return masked_count.clamp(max=self.config.k or 1)
        return even_quota(masked_count, self._steps - index)

    def select(self, step: Step, scores: Tensor) -> Tensor:
        return surest(scores, step.masked, self.quota(step.masked.sum(dim=1)))
