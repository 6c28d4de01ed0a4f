"""ReMDM as it is used for LLaDA: extra steps late in a block revise the tokens that were least sure."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .proposals import Proposal
from .scheduling_quota import QUOTA_STATE, QuotaScheduler
from .scheduling_utils import Step
from .selection import surest
from .state import SampleState
from .validation import check_count, check_range


class ReMDMScheduler(QuotaScheduler):
    """Confidence order with extra steps that mask the least sure tokens again and commit them anew.

    Before regular step clip(floor(`remask_at` * window), 1, window - 1), or after the last one where a block has fewer,
    `remask_steps` extra steps are inserted. Each masks the `remask_tokens` committed tokens again whose confidence was
    lowest when they were committed, lets the model look once more, and commits as many. A block so takes
    `remask_steps` more forward passes (the loop strategy of Wang et al., arXiv 2503.00307, in the discrete form
    that the ParallelBench paper, arXiv 2510.04767, runs on LLaDA).

    Args:
        k: tokens per regular step, 1 where nothing else is given.
        num_inference_steps: regular steps per block instead of `k`, shared as `schedule` says.
        schedule, eps: see `QuotaScheduler`.
        remask_steps: how many extra steps a block gets; 0 gives plain confidence order.
        remask_tokens: how many tokens each of them revises.
        remask_at: where in the block they come, as a share of the window's length, in [0, 1].
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    @register_to_config
    def __init__(
        self,
        *,
        k: int | None = None,
        num_inference_steps: int | None = None,
        schedule: str = "even",
        eps: float = 1e-3,
        remask_steps: int = 1,
        remask_tokens: int = 1,
        remask_at: float = 7 / 8,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_count("remask_steps", remask_steps, optional=False, least=0)
        check_count("remask_tokens", remask_tokens, optional=False)
        check_range("remask_at", remask_at, 0, 1, "in [0, 1]", optional=False)
        self._remask_steps, self._remask_tokens, self._remask_at = remask_steps, remask_tokens, remask_at
        self._extra_steps = remask_steps
        self._configure_quota(k, num_inference_steps, schedule, eps)
        self._configure(
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            score_proposal=score_proposal,
            num_inference_steps=num_inference_steps,
        )

    def _new_state(self) -> SampleState:
        # revisions: extra steps begun. revising: tokens that the extra step at hand has to commit, 0 in a regular step.
        return SampleState({**QUOTA_STATE, "revisions": 0, "revising": 0}, {"confidence": torch.inf})

    def schedule_index(self) -> Tensor:
        # Regular quotas count regular steps: those taken, less the extra ones that are over.
        return self._state["step_index"] - self._state["revisions"] + (self._state["revising"] > 0).long()

    def quota(self, masked_count: Tensor) -> Tensor:
        revising = self._state["revising"]
        return torch.where(revising > 0, revising, super().quota(masked_count))

    def revise(self, step: Step, proposal: Proposal, committed: Tensor, transfer_index: Tensor) -> Tensor:
        confidence = torch.where(transfer_index, proposal.confidence, self._state["confidence"])
        unfinished = step.masked.any(dim=1)
        regular_steps = self._state["step_index"] + 1 - self._state["revisions"]
        all_committed = ~(step.masked & ~transfer_index).any(dim=1)
        window = step.sample.shape[1]
        place = max(min(int(self._remask_at * window), window - 1), 1)
        due = unfinished & (self._state["revisions"] < self._remask_steps) & ((regular_steps >= place) | all_committed)
        remask = surest(-confidence, confidence.isfinite(), due.long() * self._remask_tokens)
        self._state["revising"] = remask.sum(dim=1)
        self._state["revisions"] = self._state["revisions"] + due.long()
        self._state["confidence"] = confidence.masked_fill(remask, torch.inf)
        return remask
