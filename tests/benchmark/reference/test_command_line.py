"""The command line of the reference model, from training to card, on a processor."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import benchmark.reference.training as training
from benchmark.reference.__main__ import main
from benchmark.reference.model import ModelConfig

SMALL = ["--batch", "4", "--groups", "2", "--device", "cpu", "--warmup", "1", "--decay", "1"]


@pytest.fixture
def small_network(monkeypatch) -> None:
    sizes = ModelConfig(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, head_dim=16)
    original = training.TrainingConfig
    monkeypatch.setattr(training, "TrainingConfig", lambda **options: original(**options, model=sizes))


def _call(*arguments: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.slow
@pytest.mark.usefixtures("small_network")
def test_from_training_to_card(directory: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train = ("train", "--model", directory, "--out", run, "--steps", "20", "--log-every", "10", *SMALL)
    assert "stopped; call again to go on" in _call(*train, "--piece", "10")
    assert "step 10" in _call("export", "--model", directory, "--out", run)
    output = _call(*train)
    assert "step 20/20" in output
    assert "the model is trained" in output

    options = ("--model", directory, "--samples", "2", "--task", "waiting_line_shuffle")
    _call(
        "predict", *options, "--out", tmp_path / "own.jsonl", "--setting", "random:k=8", "--task", "waiting_line_copy"
    )
    _call("ideal", *options, "--out", tmp_path / "ideal.jsonl", "--setting", "random:k=8")
    records = [json.loads(line) for line in (tmp_path / "own.jsonl").read_text().splitlines()]
    assert [(record["task"], record["num_forward_passes"]) for record in records] == [
        ("waiting_line_shuffle", 8),
        ("waiting_line_shuffle", 8),
        ("waiting_line_copy", 8),
        ("waiting_line_copy", 8),
    ]
    _call("card", "--model", directory, tmp_path / "own.jsonl", tmp_path / "ideal.jsonl")
    card = (directory / "README.md").read_text()
    assert "<<" not in card
    assert "| `waiting_line_shuffle` | random(k=8) | 0 |" in card
    assert "20 steps of 4 prompts" in card
    assert "one CPU" in card


@pytest.mark.usefixtures("small_network")
def test_what_is_wrong_is_said_in_one_line(directory: Path, tmp_path: Path) -> None:
    wrong = ("train", "--model", directory, "--out", tmp_path, "--device", "cpu", "--batch", "5", "--groups", "2")
    assert _call(*wrong, code=2) == "error: 5 prompts cannot be dealt into 2 groups of one size\n"
    assert "there is no checkpoint" in _call("export", "--model", directory, "--out", tmp_path, code=2)
