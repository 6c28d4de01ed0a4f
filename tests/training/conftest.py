"""A tokenizer and a network small enough to train in a test."""

from pathlib import Path

import pytest

from training.batches import BatchShape
from training.model import ModelConfig
from training.training import TrainingConfig

HUB_MODEL = Path(__file__).resolve().parents[2] / "hub_model"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A model directory with the shipped tokenizer and no weights."""
    directory = tmp_path / "model"
    directory.mkdir()
    for name in TOKENIZER_FILES:
        (directory / name).write_bytes((HUB_MODEL / name).read_bytes())
    return directory


@pytest.fixture
def config() -> TrainingConfig:
    return TrainingConfig(
        steps=6,
        decay=3,
        warmup=2,
        shape=BatchShape(prompts=4, groups=2, answers=2),
        model=ModelConfig(
            hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, head_dim=16
        ),
    )
