"""Configs that earlier versions have saved: each still loads, and decodes what it decoded then."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import BlockRefinementScheduler
from diffusers.utils import logging as diffusers_logging
from record_saved_configs import DIRECTORY, arguments_of, trajectory_of

from samplers import EntropyScheduler, built_in_scheduler_names, scheduler_class

SAVED = sorted(path for path in DIRECTORY.iterdir() if path.is_dir())
every_saved = pytest.mark.parametrize("directory", SAVED, ids=lambda path: path.name)


def test_every_class_has_one() -> None:
    assert {path.name for path in SAVED} >= {scheduler_class(name).__name__ for name in built_in_scheduler_names()}


@every_saved
def test_saved_config_decodes_what_it_decoded(directory: Path) -> None:
    scheduler = scheduler_class(directory.name).from_pretrained(directory)
    recorded = json.loads((directory / "trajectory.json").read_text(encoding="utf-8"))
    assert trajectory_of(scheduler) == recorded


@every_saved
def test_every_saved_argument_is_still_one(directory: Path) -> None:
    saved = json.loads((directory / "scheduler_config.json").read_text(encoding="utf-8"))
    assert saved["_class_name"] == directory.name
    scheduler = scheduler_class(directory.name).from_pretrained(directory)
    for key, value in saved.items():
        if not key.startswith("_"):
            assert scheduler.config[key] == value
    given = arguments_of(type(scheduler))
    assert {key: saved[key] for key in given if key in saved} == {key: given[key] for key in given if key in saved}


@every_saved
def test_loading_says_nothing(directory: Path) -> None:
    messages: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    keeper = Keeper(level=logging.WARNING)
    diffusers_logging.add_handler(keeper)
    try:
        scheduler_class(directory.name).from_pretrained(directory)
    finally:
        diffusers_logging.remove_handler(keeper)
    assert messages == []


@pytest.mark.parametrize("block_length", [4, 64])
def test_block_length_goes_to_diffusers_scheduler_and_back(block_length: int, tmp_path: Path) -> None:
    theirs = BlockRefinementScheduler(block_length=block_length, threshold=0.4)
    ours = EntropyScheduler.from_config(theirs.config, k=3)
    ours.save_pretrained(tmp_path)
    loaded: Any = EntropyScheduler.from_pretrained(tmp_path)
    assert (loaded.config.k, loaded.config.block_length) == (3, block_length)
    # Theirs has no None for "as many as k asks for".
    back = BlockRefinementScheduler.from_config(loaded.config, num_inference_steps=32)
    assert (back.config.block_length, back.config.threshold) == (block_length, 0.4)
    assert torch.equal(back.timesteps, BlockRefinementScheduler().timesteps)
