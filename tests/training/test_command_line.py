"""The command line of the reference model, from training to card, on a processor."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from loopback_languagetool import loopback_languagetool

import training.training as training
from benchmark.cli import main as parallelbench
from training.__main__ import main
from training.model import ModelConfig

from .conftest import HUB_MODEL

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
def test_from_training_to_card(directory: Path, tmp_path: Path, monkeypatch) -> None:
    run = tmp_path / "run"
    train = ("train", "--model", directory, "--out", run, "--steps", "20", "--log-every", "10", *SMALL)
    assert "stopped; call again to go on" in _call(*train, "--piece", "10")
    assert "step 10" in _call("export", "--model", directory, "--out", run)
    output = _call(*train)
    assert "step 20/20" in output
    assert "the model is trained" in output

    def evaluate(output: Path, *options: str | Path) -> None:
        arguments = ("run", "--samples", "2", "--scheduler", "random:k=8", "--output", output, *options)
        result = CliRunner().invoke(parallelbench, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output

    lists = ("--task", "waiting_line_shuffle", "--task", "waiting_line_copy")
    evaluate(tmp_path / "lists", "--model", directory, "--scheduler", "threshold:threshold=0.9", *lists)
    with loopback_languagetool({}) as server:
        monkeypatch.setenv("PARALLELBENCH_LANGUAGETOOL_URL", server.url)
        evaluate(tmp_path / "texts", "--model", directory, "--task", "words_to_sentence_easy")
    models = ("--model", f"ideal:{directory}", "--model", f"ideal-greedy:{directory}")
    evaluate(tmp_path / "ideal", *models, "--task", "waiting_line_shuffle")
    _call("card", "--model", directory, *(tmp_path / name for name in ("lists", "texts", "ideal")))
    card = (directory / "README.md").read_text()
    assert "<<" not in card
    assert re.search(r"\| `waiting_line_shuffle` \| random\(k=8\) \| 0 \| \d+ \| \d+ \|", card)
    assert "| task | random order, k = 8 |" in card
    assert re.search(r"\| `waiting_line_copy` \| 0 @ [\d.]+ \|", card)
    assert "| `words_to_sentence_easy`, inclusion | 0 |" in card
    assert "greedy, 64 new tokens in one block" in card
    assert "Measured in float32 on cpu." in card
    assert "Each number is of the first 2 test rows." in card
    assert "20 steps of 4 prompts" in card
    assert "float32" in card
    assert "one CPU" in card
    assert "train --out build/reference --steps 20 --decay 1 --warmup 1" in card
    assert "nan" not in card


@pytest.mark.usefixtures("small_network")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--batch", "5"], "5 prompts cannot be divided into 2 groups"),
        (["--batch", "-4"], "-4 is not in the range x>=1"),
        (["--steps", "0"], "0 is not in the range x>=1"),
        (["--steps", "5", "--decay", "6"], "--warmup 1 and --decay 6 are together more than --steps 5"),
        (["--learning-rate", "0"], "0.0 is not in the range x>0"),
        (["--log-every", "0"], "0 is not in the range x>=1"),
        (["--piece", "0"], "0 is not in the range x>=1"),
        (["--workers", "-1"], "-1 is not in the range x>=0"),
        (["--device", "cuda:99"], "--device cuda:99: torch sees"),
        (["--device", "qpu"], "--device qpu is neither cpu nor a GPU such as cuda or cuda:1"),
    ],
)
def test_wrong_options_of_training_are_refused_in_one_line(
    directory: Path, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    output = _call("train", "--model", directory, "--out", tmp_path / "run", *SMALL, *arguments, code=2)
    assert expected in output
    assert output.startswith("Error: ")
    assert output.count("\n") == 1
    assert not (directory / "model.safetensors").exists()


def test_without_a_tokenizer_no_training_begins(tmp_path: Path) -> None:
    output = _call("train", "--model", tmp_path, "--out", tmp_path / "run", "--steps", "2", "--device", "cpu", code=2)
    assert output == (f"Error: {tmp_path / 'tokenizer.json'} does not exist; `python -m training tokenizer` makes it\n")
    assert not (tmp_path / "run").exists()
    (tmp_path / "tokenizer.json").write_text("{")
    output = _call("train", "--model", tmp_path, "--out", tmp_path / "run", "--steps", "2", "--device", "cpu", code=2)
    assert "is not a tokenizer" in output


def test_steps_alone_are_enough_for_a_short_run(directory: Path, tmp_path: Path, monkeypatch) -> None:
    class Recorder:
        def __init__(self, config, *_: object) -> None:
            self.config = config

        def run(self, report) -> bool:
            report(f"{self.config.warmup} up, {self.config.decay} down")
            return True

    monkeypatch.setattr(training, "Trainer", Recorder)
    train = ("train", "--model", directory, "--out", tmp_path, "--device", "cpu")
    assert "2 up, 8 down" in _call(*train, "--steps", "20")
    assert "300 up, 3500 down" in _call(*train)
    assert "300 up, 3500 down" in _call(*train, "--steps", "20000")


def test_what_is_wrong_elsewhere_is_said_in_one_line(directory: Path, tmp_path: Path) -> None:
    for command, *arguments in (
        ("card", "--model", HUB_MODEL),
        ("card", "--model", HUB_MODEL, tmp_path / "nothing"),
        ("card", "--model", HUB_MODEL, directory),
        ("export", "--model", directory, "--out", tmp_path),
    ):
        output = _call(command, *arguments, code=2)
        assert output.startswith("Error: ")
        assert output.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
