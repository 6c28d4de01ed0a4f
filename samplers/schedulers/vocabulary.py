"""Searching, drawing and cutting along a vocabulary, in one pass over the memory where one will do."""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Tokens that are looked at together once it is known which of the groups matters.
GROUP = 512
#: And where several of the largest are looked for.
_SMALL_GROUP = 64
#: Bits of a probability that are looked at together, the largest number they spell, and how many units make 1.
_DIGIT, _LARGEST_DIGIT, _WHOLE = 10, 2**10 - 1, 2.0**52


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


def several_largest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest values and their indices, each (..., count); `values` is (..., vocab) of a padded length.

    Each is in one of the `count` groups with the largest maxima. Of equals any may be missing.
    """
    length = values.shape[-1]
    if length < 2 * GROUP:
        found = values.topk(count, dim=-1)
        return found.values, found.indices
    groups = values.view(*values.shape[:-1], -1, _SMALL_GROUP)
    which = groups.amax(dim=-1).topk(min(count, groups.shape[-2]), dim=-1).indices
    within = groups.gather(-2, which.unsqueeze(-1).expand(*which.shape, _SMALL_GROUP)).flatten(-2).topk(count, dim=-1)
    group = which.gather(-1, within.indices // _SMALL_GROUP)
    return within.values, group * _SMALL_GROUP + within.indices % _SMALL_GROUP


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


def apply_temperature(values: Tensor, temperature: float) -> Tensor:
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
    the likeliest one always does. Masses are whole multiples of 2^-52, whose sums do not
    depend on the order in which a device adds them.
    """
    if top_p is None or top_p >= 1:
        return values
    probabilities, wanted = values.softmax(dim=-1), math.ceil(top_p * _WHOLE)
    # A GPU sorts fast (8 ms for 512 positions of LLaDA's vocabulary on an H100; 11 by digits), a CPU does not.
    kept = _likeliest_by_sorting if values.is_cuda or values.shape[-1] < 2 * GROUP else _likeliest_by_digits
    return values.masked_fill(~kept(probabilities, wanted), -torch.inf)


def _likeliest_by_sorting(probabilities: Tensor, wanted: int) -> Tensor:
    """Tokens whose likelier ones have a mass below `wanted`, bool (..., vocab)."""
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    masses = _mass(ordered)
    within = masses.cumsum(dim=-1) - masses < wanted
    return torch.zeros_like(within).scatter(-1, order, within)


def _likeliest_by_digits(probabilities: Tensor, wanted: int) -> Tensor:
    """The same for a large vocabulary on a CPU, which would take several times as long to sort it.

    The probability at which the likeliest end is found ten bits at a time, from the mass of the tokens that share them.
    """
    # Floats that are not negative are in the order of their bits, and those up to 1 leave the highest two at 0.
    wide = probabilities.dtype == torch.float64
    keys = probabilities.view(torch.int64 if wide else torch.int32)
    masses = _mass(probabilities)
    least = torch.zeros_like(keys[..., :1])
    likelier = torch.zeros_like(least, dtype=torch.long)
    first = (6 if wide else 2) * _DIGIT
    for shift in range(first, -1, -_DIGIT):
        digits = keys >> shift
        # At the first digit all are candidates, later those whose bits above are the ones found so far.
        candidates = masses * (digits >> _DIGIT == least)
        # NaN has bits of its own, and no bucket in a histogram.
        buckets = digits & _LARGEST_DIGIT if shift < first else digits.clamp(0, _LARGEST_DIGIT)
        histogram = torch.zeros((*keys.shape[:-1], _LARGEST_DIGIT + 1), dtype=torch.long, device=keys.device)
        histogram.scatter_add_(-1, buckets.long(), candidates)
        above = likelier + histogram.flip(-1).cumsum(dim=-1).flip(-1) - histogram
        digit = (above < wanted).long().argmax(dim=-1, keepdim=True)
        likelier, least = above.gather(-1, digit), (least << _DIGIT) | digit.to(least.dtype)
    equal = keys == least
    before = likelier + (equal.cumsum(dim=-1) - 1) * _mass(least.view(probabilities.dtype))
    return (keys > least) | (equal & (before < wanted))


def _mass(probabilities: Tensor) -> Tensor:
    """Probabilities in units of 2^-52, long."""
    return (probabilities * _WHOLE).long()


def _groups(values: Tensor) -> Tensor:
    """(..., groups, tokens of a group)."""
    length = values.shape[-1]
    return values.view(*values.shape[:-1], -1, length if length < 2 * GROUP else GROUP)


def _group(groups: Tensor, which: Tensor) -> Tensor:
    """One group of each position, (..., tokens of a group)."""
    index = which[..., None, None].expand(*which.shape, 1, groups.shape[-1])
    return groups.gather(-2, index).squeeze(-2)


def _below(target: Tensor, total: Tensor) -> Tensor:
    """`target`, where rounding has lifted it to `total` the number before; no token lies beyond the total."""
    return torch.minimum(target, torch.nextafter(total, torch.zeros_like(total)))


def _first_above(reached: Tensor, target: Tensor) -> Tensor:
    """The first index whose cumulative weight exceeds the target; one of weight 0 never does so first."""
    found = torch.searchsorted(reached, target.unsqueeze(-1), right=True).squeeze(-1)
    return found.clamp(max=reached.shape[-1] - 1)
