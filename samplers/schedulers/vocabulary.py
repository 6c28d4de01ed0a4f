"""Searching, drawing and cutting along a vocabulary, in one pass over the memory where one will do."""

from __future__ import annotations

import torch
from torch import Tensor

#: Tokens that are looked at together once it is known which of the groups matters.
GROUP = 512


def padded_length(vocab_size: int) -> int:
    """The next length that splits into whole groups; a small vocabulary is one group by itself."""
    return vocab_size if vocab_size < 2 * GROUP else -(-vocab_size // GROUP) * GROUP


def first_argmax(values: Tensor) -> Tensor:
    """Index of the largest value, the lowest on a tie, (...), long; `values` is (..., vocab) of a padded length.

    On the CPU the maximum alone is several times as fast as a maximum with its index, so the index is looked up in one
    group only.
    """
    groups = _groups(values)
    which = groups.amax(dim=-1).argmax(dim=-1)
    return which * groups.shape[-1] + _group(groups, which).argmax(dim=-1)


def two_largest(values: Tensor) -> tuple[Tensor, Tensor]:
    """The largest value and the next, each (...); `values` is (..., vocab) of a padded length.

    The next is -inf where the vocabulary is one token.
    """
    groups = _groups(values)
    maxima = groups.amax(dim=-1)
    which = maxima.argmax(dim=-1)
    within = _group(groups, which).topk(min(2, groups.shape[-1]), dim=-1).values
    elsewhere = maxima.scatter(-1, which.unsqueeze(-1), -torch.inf).amax(dim=-1)
    if within.shape[-1] == 1:
        return within[..., 0], elsewhere
    return within[..., 0], torch.maximum(within[..., 1], elsewhere)


def draw(weights: Tensor, noise: Tensor) -> Tensor:
    """Tokens drawn in proportion to `weights` (..., vocab), of a padded length, with one uniform number each, (...).

    The distribution function is inverted. Adding Gumbel noise to the logits and taking the largest gives the same
    distribution, but takes a random number and two logarithms per vocabulary entry instead of one number per position,
    and in float32 it does not reach far into its tail, which acts like a lower temperature (Zheng et al., arXiv
    2409.02908). Sums are taken in the dtype of `noise`, float64 where the device has it, so that tokens of a
    probability down to about 2^-52 are drawn as often as they should be; one of weight 0 never is.
    """
    groups = _groups(weights)
    masses = groups.sum(dim=-1, dtype=noise.dtype)
    reached = masses.cumsum(dim=-1)
    target = _below(noise * reached[..., -1], reached[..., -1])
    which = _first_above(reached, target)
    before = (reached - masses).gather(-1, which.unsqueeze(-1)).squeeze(-1)
    within = _group(groups, which).cumsum(dim=-1, dtype=noise.dtype)
    inside = _first_above(within, _below((target - before).clamp(min=0), within[..., -1]))
    return which * groups.shape[-1] + inside


def heated(values: Tensor, temperature: float) -> Tensor:
    """Logits at a temperature above 0, the largest of each position at 0."""
    # Without the shift a small temperature would lift the largest logits to inf, and their softmax to NaN; a divisor
    # below the smallest normal number would count as 0.
    return (values - values.amax(dim=-1, keepdim=True)) / max(temperature, torch.finfo(values.dtype).tiny)


def keep_top_k(values: Tensor, top_k: int | None) -> Tensor:
    """Logits with -inf for all but the `top_k` largest and those that equal the last of them."""
    if top_k is None or top_k >= values.shape[-1]:
        return values
    smallest_kept = values.topk(top_k, dim=-1).values[..., -1:]
    return values.masked_fill(values < smallest_kept, -torch.inf)


def nucleus(values: Tensor, top_p: float | None) -> Tensor:
    """Logits with -inf for all but the likeliest tokens that together reach the mass `top_p`.

    A token stays while the mass of the likelier ones is below `top_p` (of equals, those of a lower id are likelier), so
    the likeliest one always does. The probability at which that ends is found by halving, bit by bit: sorting a
    vocabulary takes many times as long.
    """
    if top_p is None or top_p >= 1:
        return values
    probabilities = values.softmax(dim=-1)
    bits = torch.int64 if values.dtype == torch.float64 else torch.int32
    # Floats that are not negative are in the order of their bits. The mass above `high` is below top_p throughout,
    # that above `low` is not.
    high = probabilities.amax(dim=-1, keepdim=True).view(bits)
    low = torch.full_like(high, -1)
    above, likelier = torch.empty_like(probabilities, dtype=torch.bool), torch.empty_like(probabilities)
    for _ in range(torch.iinfo(bits).bits):
        middle = low + torch.div(high - low, 2, rounding_mode="floor")
        torch.gt(probabilities, middle.clamp(min=0).view(values.dtype), out=above)
        mass = torch.mul(probabilities, above, out=likelier).sum(dim=-1, keepdim=True)
        enough = mass < top_p
        high = torch.where(enough, middle.clamp(min=0), high)
        low = torch.where(enough, low, middle)
    least = high.view(values.dtype)
    mass = torch.mul(probabilities, torch.gt(probabilities, least, out=above), out=likelier).sum(dim=-1, keepdim=True)
    equal = probabilities == least
    before = mass + (equal.cumsum(dim=-1) - 1) * least
    return values.masked_fill(~(above | (equal & (before < top_p))), -torch.inf)


def _groups(values: Tensor) -> Tensor:
    """(..., groups, tokens of a group)."""
    length = values.shape[-1]
    return values.view(*values.shape[:-1], -1, length if length < 2 * GROUP else GROUP)


def _group(groups: Tensor, which: Tensor) -> Tensor:
    """One group of each position, (..., tokens of a group)."""
    index = which[..., None, None].expand(*which.shape, 1, groups.shape[-1])
    return groups.gather(-2, index).squeeze(-2)


def _below(target: Tensor, total: Tensor) -> Tensor:
    """`target`, where rounding has lifted it to `total` the number before; no token lies behind the total."""
    return torch.minimum(target, torch.nextafter(total, torch.zeros_like(total)))


def _first_above(reached: Tensor, target: Tensor) -> Tensor:
    """The first index whose cumulative weight exceeds the target; one of weight 0 never does so first."""
    found = torch.searchsorted(reached, target.unsqueeze(-1), right=True).squeeze(-1)
    return found.clamp(max=reached.shape[-1] - 1)
