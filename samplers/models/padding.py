"""Whether padding changes what a model says of a row: found by asking the model, on two short rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

#: Padding of the two rows: two numbers, for models that look at tokens in groups; and their length with it at most.
_PADDINGS = (3, 4)
_WIDTH = 12
#: Differences that rounding makes, as shares of the spread of the logits: no more is asked below them.
_ROUNDING = {torch.float64: 1e-4, torch.float32: 1e-4}
_ROUNDING_OF_HALF = 0.02
#: No model may move its logits by more than this share of their spread, however noisy it is.
_MOST = 0.1


@dataclass(frozen=True, slots=True)
class PaddingError:
    """What padding does to the logits of a row.

    Attributes:
        found: root mean square of the differences at the worst position, as a share of the logits' spread there.
        allowed: how much of that is rounding.
        reason: what is wrong, in words.
    """

    found: float
    allowed: float
    reason: str = ""

    @property
    def acceptable(self) -> bool:
        """Whether it is rounding alone; False where logits are NaN."""
        return self.found <= self.allowed


def padding_error(
    logits_of: Callable[[Tensor, Tensor | None], Tensor], model: Any, input_ids: Tensor, attention_mask: Tensor
) -> PaddingError:
    """Compare two short rows in a padded batch with the same rows alone: three small forward passes, at times four.

    A padded batch has other shapes than a row alone, and so other rounding. Where there is a difference, the row is
    run once more in a batch of three equal rows, and what that changes tells how much is rounding. Dropout is off
    meanwhile, and random numbers that the model draws are not missed afterwards.

    Args:
        logits_of: ids and attention mask (None: no padding) → logits (batch, length, vocab).
        model: whose dropout is turned off.
        input_ids: (batch, length), long: where the tokens are taken from.
        attention_mask: (batch, length), with padding somewhere.
    """
    real = attention_mask.bool()
    longest = int(real.sum(dim=1).argmax())
    tokens = input_ids[longest][real[longest]]
    width = min(_WIDTH, input_ids.shape[1])
    lengths = [max(width - padding, 1) for padding in _PADDINGS]
    tokens = tokens.repeat(-(-width // len(tokens)))
    # Whatever stands there: what the batch has, and, as another batch may have anything, a token.
    paddings = (input_ids[~real][:1], tokens[:1])
    rows = [
        torch.cat([padding.expand(width - length), tokens[:length]])
        for padding, length in zip(paddings, lengths, strict=True)
    ]
    mask = attention_mask.new_ones(len(rows), width)
    for row, length in enumerate(lengths):
        mask[row, : width - length] = 0
    with torch.no_grad(), _at_rest(model, input_ids.device):
        try:
            alone = [logits_of(tokens[None, :length], None) for length in lengths]
        except torch.OutOfMemoryError:
            raise
        except Exception:
            return PaddingError(0.0, 0.0)
        try:
            together = logits_of(torch.stack(rows), mask)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, LookupError, TypeError, ValueError) as error:
            return PaddingError(float("inf"), 0.0, f"it fails where one is padded ({' '.join(str(error).split())})")
        padded = [together[row : row + 1, width - length :] for row, length in enumerate(lengths)]
        if any(one.shape != other.shape for one, other in zip(padded, alone, strict=True)):
            return PaddingError(0.0, 0.0)  # no logits per token: the caller will say so
        found = max(_difference(one, other) for one, other in zip(padded, alone, strict=True))
        allowed = _ROUNDING.get(together.dtype, _ROUNDING_OF_HALF)
        reason = "its attention_mask or its positions do not hide padding"
        if found > allowed:
            repeated = logits_of(tokens[None, : lengths[0]].expand(3, -1), None)
            noise = max(_difference(row[None], alone[0]) for row in repeated)
            if noise > _MOST:
                reason = "its logits differ from call to call"
            allowed = min(max(allowed, 4 * noise), _MOST)
    return PaddingError(found, allowed, reason)


def _difference(one: Tensor, other: Tensor) -> float:
    """Of logits (1, length, vocab): at the worst position. Infinite where only one of them is a number."""
    one, other = one.double(), other.double()
    finite = one.isfinite() & other.isfinite()
    if bool((one.isfinite() != other.isfinite()).any()):
        return float("inf")
    squares = (one - other).where(finite, 0).square()
    count = finite.sum(dim=-1).clamp(min=1)
    mean = other.where(finite, 0).sum(dim=-1, keepdim=True) / count[..., None]
    spread = ((other - mean).where(finite, 0).square().sum(dim=-1) / count).sqrt()
    moved = (squares.sum(dim=-1) / count).sqrt()
    # Logits that are all the same have no spread, and say nothing by moving together.
    return float((moved / spread.clamp(min=1e-9)).where(moved > 1e-9, 0).max())


@contextmanager
def _at_rest(model: Any, device: torch.device) -> Iterator[None]:
    """No dropout, and the state of the random number generators as it was."""
    training = [module for module in model.modules() if module.training] if isinstance(model, nn.Module) else []
    for module in training:
        module.training = False
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        for module in training:
            module.training = True
