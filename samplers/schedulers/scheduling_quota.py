"""The base class of the schedulers that commit a fixed number of tokens per step."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .scheduling_utils import Step, UnmaskingScheduler
from .selection import cosine_shares, even_quota, linear_time_fractions, surest
from .state import SampleState
from .validation import check_choice, check_count, check_range
from .views import PROPOSAL_ALONE

SCHEDULES = ("even", "linear_time", "cosine")
#: What every scheduler with a quota remembers of a row: steps taken, and what was masked at the first of them.
QUOTA_STATE = {"step_index": 0, "first_masked": 0}


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
        self._configure_quota(k, num_inference_steps, schedule, eps)
        self._configure(temperature=temperature, top_p=top_p, top_k=top_k, score_proposal=score_proposal)

    def _configure_quota(
        self, k: int | None, num_inference_steps: int | None, schedule: str = "even", eps: float = 1e-3
    ) -> None:
        """Validate and keep the quota's arguments, before `_configure` makes a schedule of them."""
        check_choice("schedule", schedule, SCHEDULES)
        check_range("eps", eps, 0, 1, "in [0, 1)", upper_open=True, optional=False)
        check_count("k", k)
        check_count("num_inference_steps", num_inference_steps)
        if k is not None and num_inference_steps is not None:
            raise ValueError(
                f"k={k} and num_inference_steps={num_inference_steps} both say how many tokens a step commits; give one"
            )
        self._k, self._given_steps, self._schedule, self._eps = k, num_inference_steps, schedule, eps
        self._fractions: Tensor | None = None

    def _steps_per_block(self, num_inference_steps: int | None, block_length: int) -> int | None:
        asked = self._given_steps if self._given_steps is not None else num_inference_steps
        steps = asked if self._k is None and asked is not None else -(-block_length // (self._k or 1))
        self._spread = self._k is None and asked is not None
        self._steps = steps
        self._fractions = None
        if self._schedule == "linear_time":
            self._fractions = linear_time_fractions(steps, self._eps)
        elif self._schedule == "cosine":
            self._fractions = cosine_shares(steps)
        return steps

    def _new_state(self) -> SampleState:
        return SampleState(QUOTA_STATE)

    def schedule_index(self) -> Tensor:
        """Which step of its schedule each row is at, (batch,), long."""
        return self._state["step_index"]

    def quota(self, masked_count: Tensor) -> Tensor:
        """How many tokens each row commits at its present step, (batch,), given how many are masked, (batch,)."""
        index = self.schedule_index()
        if self._fractions is not None:
            self._fractions = self._fractions.to(masked_count.device)
            fraction = self._fractions[index.clamp(max=len(self._fractions) - 1)]
            if self._schedule == "linear_time":
                return (masked_count.to(torch.float32) * fraction).floor().long()
            first = self._state["step_index"] == 0
            self._state["first_masked"] = torch.where(first, masked_count, self._state["first_masked"])
            left = (self._state["first_masked"].to(torch.float32) * fraction).floor().long()
            return torch.minimum((masked_count - left).clamp(min=1), masked_count)
        if not self._spread:
            return masked_count.clamp(max=self._k or 1)
        return even_quota(masked_count, self._steps - index)

    def select(self, step: Step, scores: Tensor) -> Tensor:
        return surest(scores, step.masked, self.quota(step.masked.sum(dim=1)))
