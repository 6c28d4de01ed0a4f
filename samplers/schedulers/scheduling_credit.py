"""CreditDecoding: tokens that the model keeps preferring earn credit towards the threshold."""

from __future__ import annotations

import math
from typing import Any

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .proposals import Proposal, propose
from .scheduling_threshold import ThresholdScheduler
from .scheduling_utils import Step
from .speeds import ADAPTIVE_SPEEDS
from .state import SampleState
from .validation import check_flag, check_range


class CreditScheduler(ThresholdScheduler):
    """The threshold rule on logits that carry credit for having been the likeliest token before.

    At each step the credit C of every token of every masked position is multiplied by `decay`, that of the likeliest
    token grows by its probability to the power of `power`, and the threshold rule (>=; at least the surest) works on
    logits + `weight` * log(1 + C) (CreditDecoding, arXiv 2510.06133; the form in dInfer).

    Args:
        weight: how much credit counts, at least 0; the paper's alpha, 0.7. 0 gives the threshold rule.
        decay: what is left of the credit after each step, in [0, 1]; the paper's beta, 0.8.
        power: exponent of the probability, at least 0; the paper's gamma, 0.2.
        threshold, strict: see `ThresholdScheduler`; the score is the confidence.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    speed_values = ADAPTIVE_SPEEDS["threshold"]
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        weight: float = 0.7,
        decay: float = 0.8,
        power: float = 0.2,
        threshold: float | None = 0.9,
        strict: bool = False,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_range("weight", weight, 0, math.inf, "a finite number of at least 0", upper_open=True, optional=False)
        check_range("decay", decay, 0, 1, "in [0, 1]", optional=False)
        check_range("power", power, 0, math.inf, "a finite number of at least 0", upper_open=True, optional=False)
        check_range("threshold", threshold, -math.inf, math.inf, "a number")
        check_flag("strict", strict)
        self._configure()

    def _new_state(self) -> SampleState:
        return SampleState(per_token=["credit"])

    def propose(self, step: Step, model_output: Tensor, **shaping: Any) -> Proposal:
        plain = propose(model_output, mask_token_id=step.mask_token_id)
        earned = plain.confidence.pow(self.config.power).nan_to_num(0).masked_fill(~step.masked, 0)
        credit = self._state.get("credit")
        if credit is None:
            credit = earned.new_zeros(model_output.shape)
        # Changed in place: it is as large as the logits. Nothing in it is NaN, so 0 makes a row forget.
        credit.mul_(torch.where(step.fresh, 0.0, self.config.decay).to(credit.dtype).view(-1, 1, 1))
        credit.scatter_add_(2, plain.tokens.unsqueeze(2), earned.unsqueeze(2))
        self._state["credit"] = credit

        def add_credit(where: slice, values: Tensor) -> None:
            values.add_(credit[:, where].log1p(), alpha=self.config.weight)

        return self._proposal(step, model_output, adjust=add_credit, **shaping)
