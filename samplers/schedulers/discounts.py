"""A proposal that is trusted less wherever it proposes certain tokens, such as end tokens."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .proposals import Proposal


class DiscountedProposal(Proposal):
    """The same tokens as another proposal, with less confidence where they are among those with a factor.

    The confidence and the margin there are multiplied by the factor, and the entropy grows by minus its logarithm;
    logits, probabilities and everything else are the other proposal's.

    Args:
        proposal: what was proposed.
        factors: token id → factor in [0, 1], one number or (batch,).
    """

    def __init__(self, proposal: Proposal, factors: Mapping[int, Tensor | float]) -> None:
        # What the other proposal has found or will find is found for both.
        self.__dict__ = proposal.__dict__.copy()
        self._factors = factors

    @property
    def discount(self) -> Tensor:
        """(batch, window), in [0, 1]: the factor of the token proposed at each position, 1 for most."""
        discount = torch.ones_like(super().confidence)
        for token, factor in self._factors.items():
            of_row = factor.to(discount).unsqueeze(1) if isinstance(factor, Tensor) else factor
            discount = torch.where(self.tokens == token, of_row, discount)
        return discount

    @property
    def confidence(self) -> Tensor:
        """(batch, window), float32 or float64: probability of the proposed token, times its factor."""
        return super().confidence * self.discount

    def margin(self) -> Tensor:
        """Probability of the likeliest token minus that of the runner-up, times the factor, (batch, window)."""
        return super().margin() * self.discount

    def negative_entropy(self) -> Tensor:
        """Sum of p log p over the vocabulary in nats plus the logarithm of the factor, (batch, window), at most 0."""
        negative = super().negative_entropy()
        # A factor of 0 leaves a finite score: the least sure, and no sign of broken logits.
        return negative + self.discount.clamp(min=torch.finfo(negative.dtype).tiny).log()
