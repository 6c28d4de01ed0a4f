"""DAWN: trust what leans on sure tokens sooner, and commit nothing doubtful together that leans on each other."""

from __future__ import annotations

from dataclasses import replace

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .independence import independent_set, mean_attention
from .scheduling_utils import Step, UnmaskingScheduler
from .selection import or_surest, ranks
from .state import SampleState
from .validation import check_count, check_range
from .views import PROPOSAL_ALONE, Wants


class DAWNScheduler(UnmaskingScheduler):
    """Commits what is sure, what depends on sure tokens in place, and of the rest what does not depend on each other.

    A position depends on another if it gives it at least `edge_threshold` of its attention, the mean over the heads of
    the last `layers` layers. A position that gets more than `sink_threshold` of the attention on average is a sink:
    nothing depends on it. In one step are committed

    1. all with a confidence >= `threshold`;
    2. all with a confidence >= `induced_threshold` that depend on an anchor: a token in place that was given, or that
       was committed with a confidence >= `threshold`;
    3. of the others with a confidence >= `low_threshold`, surest first, each that neither depends on one committed in
       this step nor is depended on by one (DAWN, arXiv 2602.06953, algorithm 1).

    The surest, where that is nothing. A scheduler sees the window alone: neither are tokens of the prompt or of other
    blocks anchors, as in the paper they are, nor does their attention count towards sinks. So `sink_threshold` is high
    for short windows: what every one of w positions gets on average is 1 / w, less what goes elsewhere.

    Args:
        threshold: in [0, 1], 0.9 by default.
        induced_threshold: in [0, 1], 0.7 by default.
        low_threshold: in [0, 1], 0.7 by default; 0.7 to 0.8 in the paper.
        edge_threshold: in [0, 1], 0.07 by default.
        sink_threshold: in [0, 1], 0.01 by default; 1 cuts nothing.
        layers: how many are read, the last ones, at least 1; 4 by default.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.
    """

    speed_parameter = "low_threshold"
    adaptive = True
    speed_values = (0.5, 0.6, 0.7, 0.75, 0.8)

    _reads = PROPOSAL_ALONE
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        threshold: float = 0.9,
        induced_threshold: float = 0.7,
        low_threshold: float = 0.7,
        edge_threshold: float = 0.07,
        sink_threshold: float = 0.01,
        layers: int = 4,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        for name in ("threshold", "induced_threshold", "low_threshold", "edge_threshold", "sink_threshold"):
            check_range(name, self.config[name], 0, 1, "in [0, 1]", optional=False)
        check_count("layers", layers, optional=False)
        self._configure()

    @property
    def wants(self) -> Wants:
        return replace(super().wants, attentions=tuple(range(-self.config.layers, 0)))

    def _new_state(self) -> SampleState:
        return SampleState(per_position={"confidence": 0})

    def select(self, step: Step, scores: Tensor) -> Tensor:
        masked, config = step.masked, self.config
        attention = mean_attention(step.view, type(self).__name__)
        sinks = step.view.attentions.float().mean(dim=(1, 2)) > config.sink_threshold  # type: ignore[union-attr]
        depends = (attention >= config.edge_threshold) & ~sinks.unsqueeze(1)
        was = self._state["confidence"]
        # What is there at the first sight of a row was given.
        was = torch.where(step.fresh.unsqueeze(1) & ~masked, 1.0, was)
        anchors = ~masked & (was >= config.threshold)
        induced = masked & (depends & anchors.unsqueeze(1)).any(dim=2) & (scores >= config.induced_threshold)
        chosen: Tensor = (masked & (scores >= config.threshold)) | induced
        conflicts = depends | depends.transpose(1, 2)
        beside = (conflicts & chosen.unsqueeze(1)).any(dim=2)
        candidates = masked & (scores >= config.low_threshold) & ~chosen & ~beside
        chosen = chosen | independent_set(ranks(scores, candidates), candidates, conflicts)
        chosen = or_surest(chosen, scores, masked)
        self._state["confidence"] = torch.where(chosen, scores.float(), was)
        return chosen
