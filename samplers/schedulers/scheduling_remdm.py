"""ReMDM: committed tokens are masked again, in extra steps as it is used for LLaDA, or with a drawn probability."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .proposals import Proposal, uniform
from .remasking import PUBLISHED_ETA, VARIANTS, RemaskingSchedule, remasking_schedule, shares_by_confidence
from .scheduling_quota import QuotaScheduler
from .scheduling_utils import Step
from .selection import surest
from .state import SampleState
from .validation import check_choice, check_count, check_range
from .views import PROPOSAL_ALONE


class ReMDMScheduler(QuotaScheduler):
    """Confidence order with extra steps that mask the least sure tokens again and commit them anew.

    Before regular step clip(floor(`remask_at` * window), 1, window - 1), or after the last one where a block has fewer,
    `remask_steps` extra steps are inserted. Each masks the `remask_tokens` committed tokens again whose confidence was
    lowest when they were committed, lets the model look once more, and commits as many. A block so takes
    `remask_steps` more forward passes (the loop strategy of Wang et al., arXiv 2503.00307, in the discrete form
    that the ParallelBench paper, arXiv 2510.04767, runs on LLaDA).

    With a `variant` it is the paper's own sampler instead: masks are committed, and committed tokens masked again, with
    the probabilities of `remasking_schedule`. It is meant for sampling, so the temperature is 1 and `top_p` 0.9 unless
    they are given. Such a step may commit nothing; the last one commits all that is left.

    Args:
        k: tokens per regular step, 1 where nothing else is given.
        num_inference_steps: regular steps per block instead of `k`, shared as `schedule` says.
        schedule, eps: see `QuotaScheduler`.
        remask_steps: how many extra steps a block gets; 0 gives plain confidence order.
        remask_tokens: how many tokens each of them revises.
        remask_at: where in the block they come, as a share of the window's length, in [0, 1].
        variant: None, or how probable remasking is: "cap", "rescale", "conf" or "loop". `remask_steps`, `remask_tokens`
            and `remask_at` then have no meaning, and `schedule` has to be "even".
        eta: strength of the remasking, in [0, 1]; None takes the published one: 0.008 (cap), 0.015 (rescale),
            1 (conf), 0.02 (loop).
        t_on, t_off, alpha_on: where the plateau of "loop" begins and ends in time, which runs from 1 to 0, and the
            share of known tokens there; 0 < t_off < t_on < 1 and 0 < alpha_on < 1.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.

    Raises:
        ValueError: an argument lies outside its range, or does not go together with `variant`.
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
        remask_steps: int = 1,
        remask_tokens: int = 1,
        remask_at: float = 7 / 8,
        variant: str | None = None,
        eta: float | None = None,
        t_on: float = 0.55,
        t_off: float = 0.05,
        alpha_on: float = 0.9,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_count("remask_steps", remask_steps, optional=False, least=0)
        check_count("remask_tokens", remask_tokens, optional=False)
        check_range("remask_at", remask_at, 0, 1, "in [0, 1]", optional=False)
        check_range("eta", eta, 0, 1, "in [0, 1]")
        check_range("t_on", t_on, 0, 1, "in (0, 1)", lower_open=True, upper_open=True, optional=False)
        wanted = f"in (0, {t_on}), before t_on"
        check_range("t_off", t_off, 0, t_on, wanted, lower_open=True, upper_open=True, optional=False)
        check_range("alpha_on", alpha_on, 0, 1, "in (0, 1)", lower_open=True, upper_open=True, optional=False)
        self._extra_steps = remask_steps
        if variant is not None:
            check_choice("variant", variant, VARIANTS)
            if schedule != "even":
                raise ValueError(
                    f"schedule={schedule!r} and variant={variant!r}: a variant has a schedule of its own; "
                    "leave it 'even'"
                )
            self._extra_steps = 0
            self._default_temperature, self._default_top_p = 1.0, 0.9
        self._configure()

    def _steps_per_block(self, num_inference_steps: int | None, block_length: int) -> int | None:
        steps = super()._steps_per_block(num_inference_steps, block_length)
        variant, eta = self.config.variant, self.config.eta
        self._drawn_schedule: RemaskingSchedule | None = None
        if variant is not None:
            self._drawn_schedule = remasking_schedule(
                variant,
                self._steps,
                eta=PUBLISHED_ETA[variant] if eta is None else eta,
                t_on=self.config.t_on,
                t_off=self.config.t_off,
                alpha_on=self.config.alpha_on,
            )
        return steps

    def _new_state(self) -> SampleState:
        # revisions: extra steps begun. revising: tokens that the extra step at hand has to commit, 0 in a regular step.
        return SampleState({"revisions": 0, "revising": 0}, {"confidence": torch.inf})

    def schedule_index(self) -> Tensor:
        # Regular quotas count regular steps: those taken, less the extra ones that are over.
        return self._state["step_index"] - self._state["revisions"] + (self._state["revising"] > 0).long()

    def quota(self, masked_count: Tensor) -> Tensor:
        revising = self._state["revising"]
        return torch.where(revising > 0, revising, super().quota(masked_count))

    def select(self, step: Step, scores: Tensor) -> Tensor:
        if self._drawn_schedule is None:
            return super().select(step, scores)
        self._drawn_schedule = self._drawn_schedule.to(step.sample.device)
        noise = uniform(step.sample.shape, step.generator, step.sample.device)
        return step.masked & (noise < self._now(self._drawn_schedule.commit, step))

    def _now(self, of_each_step: Tensor, step: Step) -> Tensor:
        """What a schedule says of the step that each row is at, (batch, 1)."""
        index = self._state["step_index"].clamp(max=len(of_each_step) - 1)
        return of_each_step[index].unsqueeze(1)

    def _draw_remasking(self, step: Step, transfer_index: Tensor, schedule: RemaskingSchedule) -> Tensor:
        """The committed tokens that are drawn to be masked again, in rows that are not finished."""
        before = self._state["confidence"]
        candidates = before.isfinite() & ~step.masked
        sigma = self._now(schedule.remask, step)
        if self.config.variant == "conf":
            sigma = sigma * shares_by_confidence(before, candidates)
        noise = uniform(step.sample.shape, step.generator, step.sample.device)
        remask = candidates & (noise < sigma) & step.masked.any(dim=1, keepdim=True)
        confidence = torch.where(transfer_index, step.proposal.confidence.float(), before)
        self._state["confidence"] = confidence.masked_fill(remask, torch.inf)
        return remask

    def revise(self, step: Step, proposal: Proposal, committed: Tensor, transfer_index: Tensor) -> Tensor:
        if self._drawn_schedule is not None:
            return self._draw_remasking(step, transfer_index, self._drawn_schedule)
        confidence = torch.where(transfer_index, proposal.confidence, self._state["confidence"])
        unfinished = step.masked.any(dim=1)
        regular_steps = self._state["step_index"] + 1 - self._state["revisions"]
        all_committed = ~(step.masked & ~transfer_index).any(dim=1)
        window = step.sample.shape[1]
        first = max(min(int(self.config.remask_at * window), window - 1), 1)
        due = (
            unfinished
            & (self._state["revisions"] < self.config.remask_steps)
            & ((regular_steps >= first) | all_committed)
        )
        remask = surest(-confidence, confidence.isfinite(), due.long() * self.config.remask_tokens)
        self._state["revising"] = remask.sum(dim=1)
        self._state["revisions"] = self._state["revisions"] + due.long()
        self._state["confidence"] = confidence.masked_fill(remask, torch.inf)
        return remask
