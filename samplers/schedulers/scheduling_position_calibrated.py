"""PC-Sampler: confidence that counts for less further right, and for less where the token is common anyway."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from .proposals import Proposal
from .scheduling_quota import QuotaScheduler
from .scheduling_utils import Step
from .validation import check_range
from .views import PROPOSAL_ALONE


class PositionCalibratedScheduler(QuotaScheduler):
    """Commits the tokens with the highest exp(-position_decay * position) * min(-p log q, clip).

    p is the confidence, q the token's share of a corpus, and the position counts from the start of the block (Huang et
    al., PC-Sampler, also called Uncode, arXiv 2508.13021).

    Args:
        position_decay: how fast positions lose weight, at least 0; the paper's lambda, 0.25 (0 for Sudoku, 0.5 for
            Countdown).
        clip: the largest calibrated confidence, above 0; the paper's alpha, 10.
        frequencies: how often each token occurs in a corpus: a sequence of counts (or shares) by token id, or the path
            of a JSON file that holds such a list, or an object of token id -> count. What never occurs counts as often
            as the rarest token that does. None takes all tokens as equally frequent, so that confidence is weighted by
            position alone.
        k, num_inference_steps, schedule, eps: see `QuotaScheduler`.
        temperature, top_p, top_k, score_proposal: see `UnmaskingScheduler`.

    Raises:
        ValueError: an argument lies outside its range, or the frequencies cannot be read.
    """

    _reads = PROPOSAL_ALONE
    _draws_noise = False

    @register_to_config
    def __init__(
        self,
        *,
        position_decay: float = 0.25,
        clip: float = 10.0,
        frequencies: str | Sequence[float] | None = None,
        k: int | None = None,
        num_inference_steps: int | None = None,
        schedule: str = "even",
        eps: float = 1e-3,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        score_proposal: bool = False,
    ) -> None:
        check_range("position_decay", position_decay, 0, math.inf, "a number of at least 0", optional=False)
        check_range("clip", clip, 0, math.inf, "a number above 0", lower_open=True, optional=False)
        self._surprise = None if frequencies is None else _surprise(frequencies)
        self._configure()

    def score(self, step: Step, proposal: Proposal) -> Tensor:
        tokens, confidence = proposal.tokens, proposal.confidence
        if self._surprise is None:
            # All tokens are equally frequent; the mask token is none of them.
            calibrated = confidence * math.log(max(proposal.vocab_size, 2))
        else:
            self._surprise = self._surprise.to(tokens.device)
            # The last entry stands for every token beyond the end of the list.
            calibrated = confidence * self._surprise[tokens.clamp(max=len(self._surprise) - 1)]
        positions = torch.arange(tokens.shape[1], device=tokens.device, dtype=confidence.dtype)
        return calibrated.clamp(max=self.config.clip) * torch.exp(-self.config.position_decay * positions)


def _surprise(frequencies: str | Sequence[float]) -> Tensor:
    """-log q of every token id, and of unknown tokens in a last entry, (tokens + 1,), float32."""
    counts = torch.tensor(_read(frequencies) if isinstance(frequencies, str) else frequencies, dtype=torch.float64)
    if counts.dim() != 1 or not bool((counts >= 0).all() & counts.isfinite().all() & (counts > 0).any()):
        raise ValueError("frequencies should be numbers of at least 0, one per token id, and not all 0")
    rarest = counts[counts > 0].min()
    filled = torch.cat([torch.where(counts > 0, counts, rarest), rarest.unsqueeze(0)])
    return -(filled / counts.sum()).log().float()


def _read(path: str) -> list[float]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if isinstance(content, Mapping):
            counts = {int(token): float(count) for token, count in content.items()}
            content = [counts.get(token, 0.0) for token in range(max(counts, default=-1) + 1)]
        return [float(count) for count in content]
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"frequencies={path!r} should be a JSON file with counts by token id: {error}") from None
