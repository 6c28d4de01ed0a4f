"""Select: which of the scored positions are taken, and how many make a quota."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def ranks(scores: Tensor, eligible: Tensor) -> Tensor:
    """Rank of each position among the eligible ones of its row, surest first, (batch, window), long.

    Equal scores rank by position, the lowest first. Positions that are not eligible rank behind all others.
    """
    # The clamp lifts an eligible score of -inf above those that are not eligible.
    bounded = scores.clamp(min=torch.finfo(scores.dtype).min).masked_fill(~eligible, -torch.inf)
    order = bounded.argsort(dim=1, descending=True, stable=True)
    positions = torch.arange(scores.shape[1], device=scores.device).expand(order.shape)
    return torch.empty_like(order).scatter_(1, order, positions)


def surest(scores: Tensor, eligible: Tensor, count: Tensor | int) -> Tensor:
    """The `count` eligible positions with the highest scores, bool (batch, window).

    Args:
        scores: (batch, window), any float dtype.
        eligible: bool (batch, window).
        count: (batch,) or one number for all rows; more than there are takes all.
    """
    limit = count.unsqueeze(1) if isinstance(count, Tensor) else count
    return (ranks(scores, eligible) < limit) & eligible


def or_surest(chosen: Tensor, scores: Tensor, eligible: Tensor, count: Tensor | int = 1) -> Tensor:
    """`chosen`, bool (batch, window), and in rows where that is nothing what `surest` gives."""
    return chosen | (surest(scores, eligible, count) & ~chosen.any(dim=1, keepdim=True))


def even_quota(masked: Tensor, steps_left: Tensor) -> Tensor:
    """How many of `masked` (batch,) tokens to commit now if `steps_left` (batch,) steps share them evenly.

    Rounding up at every step gives each of S steps m // S tokens and the first m mod S of them one more, in integers,
    and the sum is m. With no steps left everything is due.
    """
    return (masked + steps_left.clamp(min=1) - 1) // steps_left.clamp(min=1)


def linear_time_fractions(num_inference_steps: int, eps: float) -> Tensor:
    """Share of the masked tokens that each step commits under Dream's schedule, (num_inference_steps,), float32.

    With t = linspace(1, eps, S + 1), step i commits 1 - t[i+1] / t[i] of what is masked, the last step all of it
    (Dream 7B, arXiv 2508.15487; the `linear_time` rule of its released sampler).
    """
    times = torch.linspace(1, eps, num_inference_steps + 1, dtype=torch.float32)
    fractions = 1 - times[1:] / times[:-1]
    fractions[-1] = 1
    return fractions


def cosine_shares(num_inference_steps: int) -> Tensor:
    """Share of a block's masked tokens that is still masked after each step, (num_inference_steps,), float32.

    cos(pi / 2 * (i + 1) / S) after step i, and nothing after the last (MaskGIT, arXiv 2202.04200, section 3.3).
    """
    shares = [math.cos(math.pi / 2 * (step + 1) / num_inference_steps) for step in range(num_inference_steps)]
    return torch.tensor([*shares[:-1], 0.0], dtype=torch.float32)
