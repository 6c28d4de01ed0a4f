"""Writes what `test_saved_configs.py` keeps of each scheduler class; run once when a class is added.

    python tests/record_saved_configs.py

A class that has its directory already is left alone: its config was written by an earlier version, and that is what it
is kept for.
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import torch

DIRECTORY = Path(__file__).resolve().parent / "samplers" / "saved_configs"
MASK = 47
PROMPT = [[5, 17, 30], [8, 2, 41]]

#: Arguments other than the defaults, so that a config that is read wrongly decodes something else.
SETTINGS: dict[str, dict[str, Any]] = {
    "top_k": {"top_k": 20},
    "k": {"k": 2},
    "threshold": {"threshold": 0.6},
    "factor": {"factor": 1.4},
    "remask_steps": {"remask_steps": 2},
    "remask_at": {"remask_at": 0.5},
    "entropy_bound": {"entropy_bound": 2.0},
    "kl_threshold": {"kl_threshold": 1.0},
    "position_decay": {"position_decay": 0.1},
    "base": {"base": 3},
    "slow_steps": {"slow_steps": 2},
    "remask_threshold": {"remask_threshold": 0.3},
    "editing_threshold": {"editing_threshold": 0.1},
    "power": {"power": 0.5},
    "late_gap": {"late_gap": 0.5},
    "delta": {"delta": 0.1},
    "radius": {"radius": 2},
    "branches": {"branches": 3},
    "tau_max": {"tau_max": 0.5},
    "edge_threshold": {"edge_threshold": 0.2},
}


def arguments_of(cls: Any) -> dict[str, Any]:
    """Those of `SETTINGS` that the constructor of `cls` takes."""
    known = inspect.signature(cls.__init__).parameters
    return {key: value for name, setting in SETTINGS.items() if name in known for key, value in setting.items()}


def trajectory_of(scheduler: Any) -> list[Any]:
    """The states that a scheduler takes with the toy denoiser, greedily and with a fixed source of noise."""
    from attended_denoiser import AttendedDenoiser

    from samplers import generate

    output = generate(
        AttendedDenoiser(sharpness=3.0),
        torch.tensor(PROMPT),
        scheduler=scheduler,
        max_new_tokens=8,
        block_length=4,
        generator=torch.Generator().manual_seed(0),
        return_trajectory=True,
    )
    return [state.tolist() for state in output.trajectory]


def main() -> None:
    """Record every class that is not recorded yet."""
    from samplers import built_in_scheduler_names, scheduler_class

    for name in built_in_scheduler_names():
        cls = scheduler_class(name)
        directory = DIRECTORY / cls.__name__
        if directory.exists():
            continue
        scheduler = cls(**arguments_of(cls))
        scheduler.save_pretrained(directory)
        states = ",\n  ".join(json.dumps(state) for state in trajectory_of(scheduler))
        (directory / "trajectory.json").write_text(f"[\n  {states}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
