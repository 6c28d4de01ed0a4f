"""Propose: which token each position would take, greedily or drawn, and how probable the model finds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Generators = torch.Generator | Sequence[torch.Generator | None] | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposed token for every position of the window.

    Attributes:
        tokens: (batch, window), long: the proposed token ids; never the mask token.
        confidence: (batch, window), float32 or float64: probability of the proposed token.
        logits: (batch, window, vocab), the dtype of `confidence`: what was scored; the mask token stands at -inf.
        probabilities: (batch, window, vocab): softmax of `logits`.
        discount: (batch, window), in [0, 1]: what `confidence` was multiplied by; None where by nothing. See
            `discounted`.
    """

    tokens: Tensor
    confidence: Tensor
    logits: Tensor
    probabilities: Tensor
    discount: Tensor | None = None

    def margin(self) -> Tensor:
        """Probability of the likeliest token minus that of the runner-up, (batch, window); 1 with one token alone.

        A discount multiplies it.
        """
        weight = torch.ones_like(self.confidence) if self.discount is None else self.discount
        if self.probabilities.shape[-1] < 2:
            return weight
        likeliest = self.probabilities.topk(2, dim=-1).values
        return (likeliest[..., 0] - likeliest[..., 1]) * weight

    def negative_entropy(self) -> Tensor:
        """Sum of p log p over the vocabulary in nats, (batch, window), at most 0; a discount adds its logarithm."""
        largest = self.logits.amax(dim=-1, keepdim=True)
        # log p = logit - largest + log p(likeliest). A probability is 0 long before its logit reaches the bound:
        # the clamp only keeps 0 * -inf from becoming NaN.
        centred = (self.logits - largest).clamp_(min=-1e4)
        negative = (centred.mul_(self.probabilities).sum(dim=-1) + self.probabilities.amax(dim=-1).log()).clamp(max=0)
        if self.discount is None:
            return negative
        # A discount of 0 leaves a finite score: the least sure, and no sign of broken logits.
        return negative + self.discount.clamp(min=torch.finfo(negative.dtype).tiny).log()


def discounted(proposal: Proposal, factors: Mapping[int, Tensor | float]) -> Proposal:
    """The same proposal, less sure wherever it proposes one of some tokens.

    Args:
        proposal: what was proposed.
        factors: token id → factor in [0, 1], one number or (batch,).

    Returns:
        The confidence of those tokens, and the margin where they are proposed, is multiplied by their factor; the
        entropy there grows by minus its logarithm. Tokens, logits and probabilities are as they were.
    """
    discount = torch.ones_like(proposal.confidence)
    for token, factor in factors.items():
        weight = factor.to(discount).unsqueeze(1) if isinstance(factor, Tensor) else torch.full_like(discount, factor)
        discount = torch.where(proposal.tokens == token, weight, discount)
    return replace(proposal, confidence=proposal.confidence * discount, discount=discount)


def propose(
    logits: Tensor,
    *,
    mask_token_id: int,
    temperature: float = 0.0,
    top_p: float | None = None,
    top_k: int | None = None,
    score_proposal: bool = False,
    generator: Generators = None,
) -> Proposal:
    """The proposal for every position of a window.

    Args:
        logits: (batch, window, vocab), any float dtype; left as they are.
        mask_token_id: never proposed; its logit counts as -inf. May lie outside the vocabulary.
        temperature: 0 takes the likeliest token (lowest id on a tie); otherwise tokens are drawn from
            softmax(logits / temperature), cut down to `top_k` tokens and then to the nucleus of mass `top_p`.
        score_proposal: describe the distribution that was drawn from (at temperature 0 the model's own, cut down
            by `top_k` and `top_p`); by default confidence, margin and entropy are those of the model's own
            distribution, whatever the other arguments.
        generator: one generator for the batch, or one per row (None for a row that needs no noise).
    """
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    values = logits.to(dtype, copy=True)
    if 0 <= mask_token_id < values.shape[-1]:
        values[..., mask_token_id] = -torch.inf
    probabilities = values.softmax(dim=-1)
    shaped, drawn_from = values, probabilities
    # A greedy proposal is the likeliest token however the distribution is cut; only its score may notice.
    if (temperature != 0 or score_proposal) and not (temperature in (0, 1) and top_k is None and top_p is None):
        heated = values if temperature == 0 else _heated(values, temperature)
        shaped = _nucleus(_keep_top_k(heated, top_k), top_p)
        drawn_from = shaped.softmax(dim=-1)
    if temperature == 0:
        tokens = values.argmax(dim=-1)
    else:
        tokens = _draw(drawn_from, uniform(logits.shape[:2], generator, logits.device))
    if score_proposal:
        values, probabilities = shaped, drawn_from
    confidence = probabilities.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    return Proposal(tokens, confidence, values, probabilities)


def uniform(shape: Sequence[int], generator: Generators, device: torch.device) -> Tensor:
    """Uniform noise in [0, 1) of shape (batch, window), row by row where `generator` is a list.

    With a generator per row, a row's noise does not depend on the rest of the batch; a row whose generator
    is None gets zeros and consumes nothing. Noise is float64 (float32 where the device has no float64).

    Raises:
        ValueError: the list holds another number of generators than the batch has rows.
    """
    dtype = torch.float32 if device.type == "mps" else torch.float64
    if generator is None or isinstance(generator, torch.Generator):
        home = device if generator is None else generator.device
        return torch.rand(tuple(shape), generator=generator, device=home, dtype=dtype).to(device)
    batch, window = shape
    if len(generator) != batch:
        raise ValueError(f"got {len(generator)} generators for a batch of {batch} rows; give one per row")
    home = next((source.device for source in generator if source is not None), device)
    idle = torch.zeros(window, dtype=dtype, device=home)
    # Drawing from separate generators is the one thing that can't be done for all rows at once.
    rows = [
        idle if source is None else torch.rand(window, generator=source, device=home, dtype=dtype)
        for source in generator
    ]
    return torch.stack(rows).to(device)


def _heated(values: Tensor, temperature: float) -> Tensor:
    """Logits at a temperature above 0, the largest of each position at 0."""
    # Without the shift a small temperature would lift the largest logits to inf, and their softmax to NaN; a divisor
    # below the smallest normal number would count as 0.
    return (values - values.amax(dim=-1, keepdim=True)) / max(temperature, torch.finfo(values.dtype).tiny)


def _keep_top_k(values: Tensor, top_k: int | None) -> Tensor:
    if top_k is None or top_k >= values.shape[-1]:
        return values
    smallest_kept = values.topk(top_k, dim=-1).values[..., -1:]
    return values.masked_fill(values < smallest_kept, -torch.inf)


def _nucleus(values: Tensor, top_p: float | None) -> Tensor:
    if top_p is None or top_p >= 1:
        return values
    ordered, order = values.sort(dim=-1, descending=True, stable=True)
    mass = ordered.softmax(dim=-1)
    # A token stays while the mass before it is below top_p, so the likeliest one always does.
    dropped = mass.cumsum(dim=-1) - mass >= top_p
    return values.masked_fill(torch.zeros_like(dropped).scatter(-1, order, dropped), -torch.inf)


def _draw(probabilities: Tensor, noise: Tensor) -> Tensor:
    """Tokens drawn from `probabilities`, (batch, window), with one uniform number per position.

    The token is found by inverting the distribution function, not by adding Gumbel noise to the logits: the two give
    the same distribution, but this takes one random number where the Gumbel-max trick takes one per vocabulary entry
    (two logarithms each, 126,464 for LLaDA), and the noise of a row stays the same whatever the vocabulary is padded
    to. Noise and sums are float64, so no token of a probability above 2^-52 is out of reach; Gumbel noise in float32
    cannot reach far into its tail, which acts like a lower temperature (Zheng et al., arXiv 2409.02908).
    """
    reached = probabilities.cumsum(dim=-1, dtype=noise.dtype)
    target = noise.unsqueeze(-1) * reached[..., -1:]
    # Rounding can lift the target to the total itself, behind which there is no token.
    target = torch.minimum(target, torch.nextafter(reached[..., -1:], torch.zeros_like(target)))
    # The first token whose cumulative probability exceeds the target; a token of probability 0 never does so first.
    return torch.searchsorted(reached, target, right=True).squeeze(-1).clamp(max=probabilities.shape[-1] - 1)
