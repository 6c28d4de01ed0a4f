"""The noise of an answer: one random generator for each question, method and seed."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any


def noise_source(seed: int, row_id: str, label: str) -> Any:
    """The row's own random generator: the same whatever batch and device the row is on, another for every label."""
    import torch

    return torch.Generator().manual_seed(noise_seed(seed, row_id, label))


@lru_cache(maxsize=1 << 14)
def noise_seed(seed: int, row_id: str, label: str) -> int:
    """The seed of that generator, in [0, 2^63)."""
    digest = hashlib.sha256(f"{seed}/{row_id}/{label}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
