"""DiffusionGemma's own sampler: every position is decided anew at each step, under an entropy budget."""

from __future__ import annotations

import math
from typing import Any

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .proposals import Proposal, uniform
from .scheduling_utils import Step, UnmaskingScheduler
from .state import SampleState
from .validation import check_count, check_range
from .views import Annealing, Wants

#: Steps of a block where neither the constructor nor the loop says anything.
_STEPS = 48


class RenoisingScheduler(UnmaskingScheduler):
    """Keeps the largest set of sure tokens that an entropy budget pays for, and opens every other position again.

    At each step a token is drawn for every position of the block, decided or not, at a temperature that falls evenly
    from `t_max` to `t_min`. The positions with the lowest entropies H_1, H_2, ... at that temperature are kept, as many
    as H_1 + ... + H_n - H_n <= `entropy_bound` allows (EB-Sampler, arXiv 2505.24857), with the tokens just drawn; the
    rest is open again, for a model of uniform noise with fresh noise in it. A row ends with the likeliest token at
    every position: once these have been the same for `stability_threshold` steps running and the mean entropy lies
    below `confidence_threshold`, or after the last step. So it takes up to `num_inference_steps` looks at any block,
    however short.

    It is what transformers' `DiffusionGemmaForBlockDiffusion.generate` does, and with the same noise gives the same
    tokens. On a model of masks it works too, with masks in the place of noise. It has no short name: unlike the methods
    that have one, it may end a step with nothing new decided. A command line names it `samplers:RenoisingScheduler`.

    Args:
        entropy_bound: the budget in nats, at least 0.
        t_max, t_min: temperature at the first step, and what it comes down to; above 0.
        num_inference_steps: steps of a block at most. None takes the number from `set_timesteps`, else 48.
        stability_threshold: steps for which the likeliest tokens must stay the same, at least 0.
        confidence_threshold: mean entropy in nats below which a stable row ends; None never ends one early.
        temperature: on top of the falling one; 1 by default, and 0 takes the likeliest token.
        top_p, top_k: see `UnmaskingScheduler`.
        score_proposal: see `UnmaskingScheduler`; the entropies are always those at the falling temperature.
    """

    score_name = "entropy"
    speed_parameter = "entropy_bound"
    adaptive = True
    _default_temperature = 1.0
    _takes_called_temperature = False

    @register_to_config
    def __init__(
        self,
        *,
        entropy_bound: float = 0.1,
        t_max: float = 0.8,
        t_min: float = 0.4,
        num_inference_steps: int | None = None,
        stability_threshold: int = 1,
        confidence_threshold: float | None = 0.005,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_range("entropy_bound", entropy_bound, 0, math.inf, "a number of at least 0", optional=False)
        for name, value in (("t_max", t_max), ("t_min", t_min)):
            check_range(name, value, 0, math.inf, "a finite number above 0", optional=False, lower_open=True)
        check_count("num_inference_steps", num_inference_steps)
        check_count("stability_threshold", stability_threshold, optional=False, least=0)
        check_range("confidence_threshold", confidence_threshold, 0, math.inf, "a number above 0", lower_open=True)
        self._configure()

    @property
    def wants(self) -> Wants:
        # A loop asks before it calls set_timesteps, without a number.
        return Wants(annealing=self._annealed(self.config.num_inference_steps or _STEPS))

    def _annealed(self, steps: int) -> Annealing:
        return Annealing(self.config.t_max, self.config.t_min, steps)

    def _self_conditioning(self, model_output: Tensor, timestep: int | Tensor) -> Tensor:
        step = torch.as_tensor(timestep, device=model_output.device)
        return model_output / self._annealed(self.num_inference_steps or _STEPS).temperature(step)

    def propose(
        self, step: Step, model_output: Tensor, *, temperature: float, top_p: float | None, top_k: int | None
    ) -> Proposal:
        # A row looks once for each step that had something open, or was asked for.
        steps = self.num_inference_steps or _STEPS
        annealed = self._annealed(steps).temperature(self._state["looks"])[:, None, None]
        noise = None if temperature == 0 else uniform(step.sample.shape, step.generator, model_output.device)

        def anneal(where: slice, values: Tensor) -> None:
            values.div_(annealed)

        proposal = _Canvas(
            model_output,
            step.mask_token_id,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            noise=noise,
            adjust=anneal,
        )
        self._decide(step, proposal)
        return proposal

    def _decide(self, step: Step, proposal: _Canvas) -> None:
        """Which positions stay and which rows end; needs the step's whole window, so it comes before the four."""
        state = self._state
        ours = step.masked | (state["decided"] == 1)
        entropy = proposal.negative_entropy().neg()
        ordered, order = entropy.masked_fill(~ours, math.inf).sort(dim=1, stable=True)
        # The largest of the first n is the n-th, because they are in order.
        affordable = (ordered.cumsum(dim=1) - ordered <= self.config.entropy_bound) & ordered.isfinite()
        self._kept = torch.zeros_like(ours).scatter(1, order, affordable) & ours
        likeliest = proposal.likeliest
        same = ((likeliest == state["likeliest"]) | ~ours).all(dim=1)
        running = step.masked.any(dim=1) | (state["unsettled"] > 0)
        state["looks"] = state["looks"] + running
        state["same"] = torch.where(same, state["same"] + 1, 0)
        # Exact: no vocabulary reaches 2^24.
        state["likeliest"] = likeliest.float()
        ends = state["looks"] >= (self.num_inference_steps or _STEPS)
        if self.config.confidence_threshold is not None:
            mean = entropy.masked_fill(~ours, 0).sum(dim=1) / ours.sum(dim=1).clamp(min=1)
            ends = ends | (
                (state["same"] >= self.config.stability_threshold) & (mean < self.config.confidence_threshold)
            )
        self._ours, self._running = ours, running
        self._ends = proposal.ends = ends

    def select(self, step: Step, scores: Tensor) -> Tensor:
        return step.masked & (self._kept | self._ends.unsqueeze(1))

    def revise(self, step: Step, proposal: Any, committed: Tensor, transfer_index: Tensor) -> Tensor:
        opened = self._ours & ~self._kept & ~self._ends.unsqueeze(1)
        self._state["decided"] = (self._ours & ~opened).float()
        still_open = (step.masked & ~transfer_index) | opened
        self._state["unsettled"] = (self._running & ~self._ends & ~still_open.any(dim=1)).long()
        return opened & self._running.unsqueeze(1)

    def replace(self, step: Step, proposal: Any, committed: Tensor, transfer_index: Tensor) -> Tensor:
        kept = self._ours & (self._kept | self._ends.unsqueeze(1)) & self._running.unsqueeze(1)
        changed: Tensor = proposal.tokens != step.sample
        return kept & changed

    def _new_state(self) -> SampleState:
        return SampleState({"looks": 0, "same": 0, "unsettled": 0}, {"decided": 0, "likeliest": -1})

    def _steps_per_block(self, num_inference_steps: int | None, block_length: int) -> int | None:
        return int(self.config.num_inference_steps or num_inference_steps or _STEPS)


class _Canvas(Proposal):
    """A proposal whose tokens are the likeliest ones in the rows that end, (batch,) bool."""

    ends: Tensor | None = None

    @property
    def likeliest(self) -> Tensor:
        """(batch, window), long."""
        return self.measure("likeliest", lambda where, values, probabilities: values.argmax(dim=-1))

    @property
    def tokens(self) -> Tensor:
        drawn = super().tokens
        return drawn if self.ends is None else torch.where(self.ends.unsqueeze(1), self.likeliest, drawn)

    @property
    def confidence(self) -> Tensor:
        return super().confidence if self.ends is None else self.probability_of(self.tokens)
