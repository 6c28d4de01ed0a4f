"""Safetensors files, streamed into a network that was built without memory: one shard is open at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .key_table import Piece, Plan, Shape


@dataclass(frozen=True, slots=True)
class WeightFile:
    """The header of one file.

    Attributes:
        path: the file.
        shapes: name → shape of its tensors.
        dtype: of its first floating tensor, None where it has none.
    """

    path: Path
    shapes: dict[str, Shape]
    dtype: torch.dtype | None


def read_headers(paths: Sequence[Path]) -> list[WeightFile]:
    """The headers of all files; a file that is cut off is found here, before anything large is read.

    Raises:
        ValueError: a file is missing, cut off or not in the safetensors format.
    """
    return [_read_header(path) for path in paths]


def _read_header(path: Path) -> WeightFile:
    with _opened(path) as handle:
        shapes: dict[str, Shape] = {}
        dtype = None
        for name in list(handle.keys()):
            part = handle.get_slice(name)
            shapes[name] = tuple(part.get_shape())
            if dtype is None and part.get_dtype() in _FLOATING:
                dtype = _FLOATING[part.get_dtype()]
    return WeightFile(path, shapes, dtype)


_FLOATING = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def stream(
    files: Sequence[WeightFile],
    plan: Plan,
    network: nn.Module,
    *,
    dtype: torch.dtype,
    device_of: Callable[[str], torch.device],
    finish: Callable[[str, Tensor], Any] | None = None,
) -> None:
    """Fill a network on the meta device from its files.

    Parameters appear on their device when their first piece is read, and are given `dtype`; buffers keep their own.

    Args:
        files: the headers.
        plan: where each tensor goes.
        network: on the meta device.
        device_of: device of a parameter, by name.
        finish: called with the name and the tensor of each parameter when all of it is there; what it returns, unless
            None, takes the parameter's place. For quantisation, which so holds one full tensor at a time.

    Raises:
        ValueError: a file cannot be read.
    """
    missing = {name: tensor.numel() for name, tensor in network.state_dict(keep_vars=True).items()}
    begun: dict[str, Tensor] = {}
    buffers = dict(network.named_buffers())
    for file in files:
        with _opened(file.path) as handle, torch.no_grad():
            for name in file.shapes:
                for piece in plan.pieces.get(name, ()):
                    if piece.target not in begun:
                        meta = (
                            network.get_parameter(piece.target)
                            if piece.target not in buffers
                            else buffers[piece.target]
                        )
                        kind = meta.dtype if piece.target in buffers else dtype
                        begun[piece.target] = torch.empty(meta.shape, dtype=kind, device=device_of(piece.target))
                    missing[piece.target] -= _fill(begun[piece.target], piece, handle.get_tensor(name))
                    if missing[piece.target] == 0:
                        _assign(network, piece.target, begun.pop(piece.target), finish)
    if begun:
        raise ValueError(f"incomplete after all files were read: {', '.join(begun)}")


def _fill(target: Tensor, piece: Piece, tensor: Tensor) -> int:
    """Copy a piece; returns how many elements it had."""
    if piece.rows is not None:
        tensor = tensor[piece.rows]
    place = target if piece.expert is None else target[piece.expert]
    if piece.target_rows is not None:
        place = place[piece.target_rows]
    place.copy_(tensor)
    return tensor.numel()


def _assign(network: nn.Module, name: str, tensor: Tensor, finish: Callable[[str, Tensor], Any] | None) -> None:
    owner_name, _, attribute = name.rpartition(".")
    owner = network.get_submodule(owner_name)
    if attribute in owner._buffers:
        owner._buffers[attribute] = tensor
        return
    finished = None if finish is None else finish(name, tensor)
    owner._parameters[attribute] = nn.Parameter(tensor, requires_grad=False) if finished is None else finished


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as handle:
            yield handle
    except FileNotFoundError:
        raise ValueError(f"{path.name} is missing in {path.parent}; download the checkpoint again") from None
    except SafetensorError as error:
        size = path.stat().st_size
        raise ValueError(
            f"{path} ({size:,} bytes) is cut off or not a safetensors file ({error}); download it again"
        ) from None
