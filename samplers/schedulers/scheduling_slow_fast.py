"""SlowFast: single steps until the end of the sure span settles, then that span in large ones."""

from __future__ import annotations

import math

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .scheduling_utils import Step, UnmaskingScheduler
from .selection import surest
from .state import SampleState
from .validation import check_count, check_range
from .views import PROPOSAL_ALONE


class SlowFastScheduler(UnmaskingScheduler):
    """Alternates between a slow phase that looks for a span and a fast phase that fills it.

    A slow step commits the surest token right of the spans filled so far, and estimates where the next span ends:
    behind the last masked position with a confidence >= `span_threshold` (or one position on, where there is none).
    Once the last `stability_window` estimates have a standard deviation < `stability_deviation` the last of them holds;
    after `slow_steps` steps their mean does. A fast step commits everything in the span with a confidence
    >= `threshold`, at least the surest; when the span is full, the next slow phase begins (Wei et al., SlowFast
    Sampling, arXiv 2506.10848).

    Args:
        slow_steps: the most steps of a slow phase, 6 by default.
        span_threshold: the confidence that belongs to a span, in [0, 1], 0.3 by default.
        threshold: the confidence that is committed in a fast step, in [0, 1], 0.9 by default.
        stability_window: estimates that are compared, at least 2.
        stability_deviation: their largest standard deviation (of the population), in positions, above 0.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    _reads = PROPOSAL_ALONE
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        slow_steps: int = 6,
        span_threshold: float = 0.3,
        threshold: float = 0.9,
        stability_window: int = 2,
        stability_deviation: float = 1.0,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_count("slow_steps", slow_steps, optional=False)
        check_range("span_threshold", span_threshold, 0, 1, "in [0, 1]", optional=False)
        check_range("threshold", threshold, 0, 1, "in [0, 1]", optional=False)
        check_count("stability_window", stability_window, optional=False, least=2)
        check_range(
            "stability_deviation", stability_deviation, 0, math.inf, "a number above 0", lower_open=True, optional=False
        )
        self._estimates = [f"estimate_{back}" for back in range(stability_window)]
        self._configure()

    def _new_state(self) -> SampleState:
        # The span at hand is [start, stop), known while fast is 1; estimate_0 is the latest guess of its end.
        names = ["fast", "start", "stop", "slow_taken", *self._estimates]
        return SampleState(dict.fromkeys(names, 0))

    def select(self, step: Step, scores: Tensor) -> Tensor:
        state, masked = self._state, step.masked
        positions = torch.arange(masked.shape[1], device=masked.device)
        start, stop = state["start"], state["stop"]
        in_span = masked & (positions >= start.unsqueeze(1)) & (positions < stop.unsqueeze(1))
        fast = (state["fast"] == 1) & in_span.any(dim=1)
        # A span that is full gives way to a slow phase right of it, in the same step.
        full = (state["fast"] == 1) & ~fast
        start = torch.where(full, stop, start)
        taken = torch.where(full, 0, state["slow_taken"])
        ahead = masked & (positions >= start.unsqueeze(1))
        ahead = torch.where(ahead.any(dim=1, keepdim=True), ahead, masked)

        slow = masked.any(dim=1) & ~fast
        state["start"] = start
        state["slow_taken"] = torch.where(slow, taken + 1, taken)
        state["fast"] = self._find_span(slow, fast, start, ahead & (scores >= self.config.span_threshold), positions)
        fast_choice = in_span & ((scores >= self.config.threshold) | surest(scores, in_span, 1))
        return torch.where(fast.unsqueeze(1), fast_choice, surest(scores, ahead, 1))

    def _find_span(self, slow: Tensor, fast: Tensor, start: Tensor, sure: Tensor, positions: Tensor) -> Tensor:
        """Note a slow step's estimate of where the span ends; returns which rows are in their fast phase from now."""
        state = self._state
        last_sure = torch.where(sure, positions + 1, 0).amax(dim=1)
        estimate = torch.maximum(last_sure, start + 1)
        for name, older in zip(self._estimates[:0:-1], self._estimates[-2::-1], strict=True):
            state[name] = torch.where(slow, state[older], state[name])
        state[self._estimates[0]] = torch.where(slow, estimate, state[self._estimates[0]])
        window = len(self._estimates)
        filled = state["slow_taken"].clamp(min=1, max=window)
        recent = torch.stack([state[name] for name in self._estimates], dim=1)
        counted = torch.arange(window, device=recent.device) < filled.unsqueeze(1)
        total = recent.masked_fill(~counted, 0).sum(dim=1)
        deviation = recent.float().std(dim=1, correction=0)
        settled = slow & (state["slow_taken"] >= window) & (deviation < self.config.stability_deviation)
        found: Tensor = settled | (slow & (state["slow_taken"] >= self.config.slow_steps))
        end = torch.where(settled, recent[:, 0], total // filled)
        state["stop"] = torch.where(found, torch.maximum(end, start + 1), state["stop"])
        return (fast | found).long()
