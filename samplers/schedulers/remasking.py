"""The remasking posterior of ReMDM: how probably each step commits a mask, and masks a committed token again."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

VARIANTS = ("cap", "rescale", "conf", "loop")
#: The settings of the published experiments (Wang et al., arXiv 2503.00307, section 5 and appendix).
PUBLISHED_ETA = {"cap": 0.008, "rescale": 0.015, "conf": 1.0, "loop": 0.02}


@dataclass(frozen=True, slots=True)
class RemaskingSchedule:
    """What the steps of a block do; time runs from 1 to 0, and alpha, the share of known tokens, from 0 to 1.

    Attributes:
        commit: (steps,), float32: probability that a masked position takes its token.
        remask: (steps,), float32: probability that a committed token is masked again; for "conf" the largest that
            is allowed, of which each token gets its part.
    """

    commit: Tensor
    remask: Tensor

    def to(self, device: torch.device) -> RemaskingSchedule:
        """The same on another device; nothing is copied where it is there already."""
        return RemaskingSchedule(self.commit.to(device), self.remask.to(device))


def remasking_schedule(
    variant: str, steps: int, *, eta: float, t_on: float, t_off: float, alpha_on: float
) -> RemaskingSchedule:
    """The schedule of a variant (Wang et al., arXiv 2503.00307, equations 7 to 10).

    From time t to s, sigma is at most sigma_max = min(1, (1 - alpha_s) / alpha_t), a committed token is masked again
    with probability sigma, and a mask takes its token with probability (alpha_s - (1 - sigma) alpha_t) / (1 - alpha_t).
    "cap": sigma = min(eta, sigma_max). "rescale" and "conf": sigma = eta sigma_max; "conf" shares it out by confidence,
    and commits as if it were 0. "loop": alpha rises to `alpha_on` until `t_on`, stays there until `t_off` with
    sigma = eta, and then rises to 1; sigma is 0 but on the plateau. The last step commits everything.
    """
    commit, remask = [], []
    for step in range(steps):
        t, s = (steps - step) / steps, (steps - step - 1) / steps
        if variant == "loop":
            alpha_t, alpha_s = (_loop_alpha(time, t_on, t_off, alpha_on) for time in (t, s))
        else:
            alpha_t, alpha_s = 1 - t, 1 - s
        largest = 1.0 if alpha_t == 0 else min(1.0, (1 - alpha_s) / alpha_t)
        if variant == "cap":
            sigma = min(eta, largest)
        elif variant == "loop":
            sigma = min(eta, largest) if t_off < t <= t_on else 0.0
        else:
            sigma = eta * largest
        shared = 0.0 if variant == "conf" else sigma
        commit.append((alpha_s - (1 - shared) * alpha_t) / (1 - alpha_t))
        remask.append(sigma)
    return RemaskingSchedule(torch.tensor(commit, dtype=torch.float32), torch.tensor(remask, dtype=torch.float32))


def shares_by_confidence(confidence: Tensor, committed: Tensor) -> Tensor:
    """Each committed token's part of sigma, (batch, window): softmax of minus the confidence it was committed with."""
    weights = (-confidence).masked_fill(~committed, -torch.inf).softmax(dim=1)
    # A row without committed tokens has nothing to share out, and no softmax.
    return weights.masked_fill(~committed, 0)


def _loop_alpha(time: float, t_on: float, t_off: float, alpha_on: float) -> float:
    if time > t_on:
        return (1 - time) * alpha_on / (1 - t_on)
    return alpha_on if time > t_off else 1 - time * (1 - alpha_on) / t_off
