"""Score: how sure the proposal is at each position; higher means surer."""

from __future__ import annotations

import torch
from torch import Tensor

from .proposals import Generators, Proposal, uniform

SCORES = ("confidence", "margin", "entropy", "random", "left_to_right")


def score(name: str, proposal: Proposal, generator: Generators = None) -> Tensor:
    """The score called `name`, (batch, window).

    `confidence` is the probability of the proposed token, `margin` the gap between the two likeliest tokens,
    `entropy` the negative entropy in nats, `random` uniform noise from the generator, `left_to_right` minus the
    position.

    Raises:
        ValueError: there is no score of that name.
    """
    # The tokens are asked for last: what a score needs is found in the same pass over the logits.
    if name == "confidence":
        return proposal.confidence
    if name == "margin":
        return proposal.margin()
    if name == "entropy":
        return proposal.negative_entropy()
    tokens = proposal.tokens
    if name == "random":
        return uniform(tokens.shape, generator, tokens.device)
    if name == "left_to_right":
        positions = torch.arange(tokens.shape[1], device=tokens.device, dtype=proposal.confidence.dtype)
        return -positions.expand(tokens.shape)
    raise ValueError(f"unknown score {name!r}; known are {', '.join(SCORES)}")
