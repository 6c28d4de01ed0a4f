"""DAPD: commit together what does not look at each other."""

from __future__ import annotations

from dataclasses import replace

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .independence import independent_set, mean_attention
from .scheduling_utils import Step, UnmaskingScheduler
from .selection import ranks
from .state import SampleState
from .validation import check_choice, check_range
from .views import PROPOSAL_ALONE, Wants

MODES = ("staged", "direct")
#: Confidence that is committed unchecked: by "staged" once half of the window is decoded, by "direct" from the start.
STAGED, DIRECT = 0.9, 1.0


class DAPDScheduler(UnmaskingScheduler):
    """Commits masked tokens of which none depends on another, by the attention that they give each other.

    The dependence of two masked positions is the attention between them in the last layers, the mean over layers,
    heads and both directions; each row of it is divided by its largest entry. The masked positions are gone through by
    their total dependence (before the division) times their confidence, highest first; one is taken if its dependence
    on every one taken before it is <= tau, which grows from `tau_min` to `tau_max` as the masks of the window vanish
    (DAPD, arXiv 2603.12996). The first is always taken.

    Rows do not influence each other, and what is not masked plays no part; the authors' code lets tau depend on the
    masks of the whole batch, and its attention look at padding. Tau follows the masks of the window: with blocks it
    starts anew in each, where theirs counts those of the whole answer.

    Args:
        mode: "staged" also commits every confidence >= 0.9 once half of the window's masks have gone; "direct"
            commits every confidence >= 1 first, which then plays no part among the others.
        tau_min, tau_max: in [0, 1], 0.01 and 0.15 by default.
        layer_share: share of the layers that are read, the last ones; in (0, 1], 0.3 by default.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    speed_parameter = "tau_max"
    adaptive = True
    speed_values = (0.05, 0.15, 0.3, 0.5)

    _reads = PROPOSAL_ALONE
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        mode: str = "staged",
        tau_min: float = 0.01,
        tau_max: float = 0.15,
        layer_share: float = 0.3,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_choice("mode", mode, MODES)
        check_range("tau_min", tau_min, 0, 1, "in [0, 1]", optional=False)
        check_range("tau_max", tau_max, 0, 1, "in [0, 1]", optional=False)
        check_range("layer_share", layer_share, 0, 1, "in (0, 1]", lower_open=True, optional=False)
        self._configure()

    @property
    def wants(self) -> Wants:
        return replace(super().wants, attentions=float(self.config.layer_share))

    def _new_state(self) -> SampleState:
        return SampleState({"first_masked": 0})

    def select(self, step: Step, scores: Tensor) -> Tensor:
        masked = step.masked
        attention = mean_attention(step.view, type(self).__name__)
        pairs = masked.unsqueeze(1) & masked.unsqueeze(2)
        dependence = ((attention + attention.transpose(1, 2)) / 2).masked_fill(~pairs, 0)
        largest = dependence.amax(dim=2, keepdim=True).clamp(min=torch.finfo(dependence.dtype).tiny)
        conflicts = dependence / largest > self._tau(masked).view(-1, 1, 1)
        direct, candidates = torch.zeros_like(masked), masked
        if self.config.mode == "direct":
            direct = masked & (scores >= DIRECT)
            candidates = masked & ~direct
        order = ranks(dependence.sum(dim=2) * scores, candidates)
        chosen: Tensor = direct | independent_set(order, candidates, conflicts)
        if self.config.mode == "staged":
            chosen = chosen | (masked & (scores >= STAGED) & (self._progress(masked) >= 0.5).unsqueeze(1))
        return chosen

    def _progress(self, masked: Tensor) -> Tensor:
        """Share of the window's masks that have gone, (batch,), float32."""
        first = self._state["first_masked"].clamp(min=1)
        return 1 - masked.sum(dim=1).float() / first

    def _tau(self, masked: Tensor) -> Tensor:
        count = masked.sum(dim=1)
        self._state["first_masked"] = torch.maximum(self._state["first_masked"], count)
        tau: Tensor = self.config.tau_min + (self.config.tau_max - self.config.tau_min) * self._progress(masked)
        return tau
