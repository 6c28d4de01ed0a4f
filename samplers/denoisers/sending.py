"""Tensors sent to a GPU without waiting for what it has in hand."""

from __future__ import annotations

import torch
from torch import Tensor


def sent(values: Tensor, device: torch.device) -> Tensor:
    """`values` on `device`; to a GPU through pinned memory, since any other copy waits for its kernels."""
    if device.type != "cuda" or values.device.type != "cpu":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
