"""Checkpoints: weights and optimizer state in small files, complete or absent."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# Small enough for places that take no large files; a checkpoint is three times the size of the float32 weights.
LARGEST_FILE = 15 * 2**20
_PREFIX = "checkpoint-"


def save_checkpoint(directory: Path, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
    """Write `checkpoint-<step>` under `directory` and remove older ones; returns its path.

    Tensors are float32 and are cut into files of at most `LARGEST_FILE` bytes, in order. The directory is renamed into
    place when it is complete.
    """
    from safetensors.torch import save

    final = directory / f"{_PREFIX}{step}"
    # Drafts are what a process that was killed has left.
    for left in directory.glob(f"{_PREFIX}*.tmp"):
        shutil.rmtree(left)
    draft = directory / f"{final.name}.tmp"
    draft.mkdir(parents=True)
    flat = torch.cat([tensor.detach().float().cpu().flatten() for tensor in tensors.values()])
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    for number, part in enumerate(torch.split(flat, LARGEST_FILE // 4)):
        (draft / f"part-{number}.safetensors").write_bytes(save({"part": part.contiguous()}))
    (draft / "facts.json").write_text(json.dumps({**facts, "step": step, "shapes": shapes}), encoding="utf-8")
    older = list(find_checkpoints(directory))
    shutil.rmtree(final, ignore_errors=True)
    draft.rename(final)
    for path in older:
        if path != final:
            shutil.rmtree(path)
    return final


def find_checkpoints(directory: Path) -> list[Path]:
    """The complete checkpoints under `directory`, the latest last."""
    found = [path for path in directory.glob(f"{_PREFIX}*") if path.name.removeprefix(_PREFIX).isdigit()]
    return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """After which step a checkpoint was written."""
    return int(checkpoint.name.removeprefix(_PREFIX))


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a checkpoint by name, and its facts.

    Raises:
        ValueError: parts are missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    files = sorted(path.glob("part-*.safetensors"), key=lambda file: int(file.stem.removeprefix("part-")))
    try:
        facts = json.loads((path / "facts.json").read_text(encoding="utf-8"))
        shapes: dict[str, list[int]] = facts.pop("shapes")
        parts = [load_file(str(file))["part"] for file in files]
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ValueError(f"{path} cannot be read; remove it, or start in another directory: {error}") from None
    sizes = [torch.Size(shape).numel() for shape in shapes.values()]
    if not parts or sum(map(len, parts)) != sum(sizes):
        raise ValueError(f"{path} holds {sum(map(len, parts))} numbers in {len(parts)} files, not {sum(sizes)}")
    pieces = torch.split(torch.cat(parts), sizes)
    return {name: piece.view(shape) for (name, shape), piece in zip(shapes.items(), pieces, strict=True)}, facts
