"""`parallelbench watch`: what each step looks like, in a terminal, in a pipe and in a file."""

import io
import os
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from rich.console import Console
from support import ROOT
from tiny_models import save_reference
from tiny_pipeline import MASK, WORDS, tiny_tokenizer
from transformers import BertConfig, BertForMaskedLM

from benchmark.cli import main
from benchmark.cli.watch import decode, frame_of, render
from benchmark.protocol.method import Method
from hub_dataset import build_rows
from samplers import GenerationStep

#: The one address in a picture: a comment that says which library made it.
RICH = "https://www.textualize.io"
ARGUMENTS = ["watch", "--task", "waiting_line_shuffle", "--row", "2"]


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main, [*ARGUMENTS, *arguments])


def test_every_step_is_shown_and_counted_in_plain_text() -> None:
    result = run("--scheduler", "left_to_right:k=8")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "waiting_line_shuffle, row 2 · ideal · left_to_right(k=8)"
    steps = [line for line in lines if line.startswith("step ")]
    assert steps == [
        "step 1 · 1 forward pass · 8 committed · 24 still masked",
        "step 2 · 2 forward passes · 8 committed · 16 still masked",
        "step 3 · 3 forward passes · 8 committed · 8 still masked",
        "step 4 · 4 forward passes · 8 committed · 0 still masked",
    ]
    assert "32 tokens in 4 forward passes: 8.00 tokens per step" in lines
    assert "\x1b" not in result.output
    # Committed tokens stand in their signs once, and every one has a probability.
    assert result.output.count("«") - 1 == 32
    numbers = [line for line in lines if line.startswith("probability: ")]
    assert len(numbers) == 4


def test_one_method_is_watched_with_its_block_length() -> None:
    result = run("--scheduler", "confidence:k=8,block_length=16")
    assert result.output.splitlines()[0].endswith(" · confidence(k=8, block_length=16)")
    refused = run("--scheduler", "confidence:k=[4,8]")
    assert refused.exit_code == 2
    assert "stands for 2 methods; name one" in refused.output


def test_frames_are_those_of_the_benchmark_and_end_in_a_list() -> None:
    row = build_rows("waiting_line_shuffle")[2]
    setting = Method.of("entropy", {"k": 1})
    frames = list(decode(row, "ideal", setting, None, None, seed=0))
    again = list(decode(row, "ideal", setting, None, None, seed=0))
    other = list(decode(row, "ideal", setting, None, None, seed=1))
    assert frames == again
    assert frames != other
    assert [frame.number for frame in frames] == list(range(32))
    assert all(frame.count("committed") == 1 and len(frame.sure) == 1 for frame in frames)
    words = [cell.text for cell in frames[-1].cells if cell.text != "<|end|>"]
    assert words[0] == '["'
    assert words[-1] == '"]'


def test_an_answer_is_as_long_as_in_a_run(tmp_path: Path) -> None:
    row = build_rows("waiting_line_shuffle")[2]
    directory = str(save_reference(tmp_path / "model", answer_length=40))
    (frame,) = decode(row, directory, Method.of("confidence", {"k": 64}), None, None, seed=0)
    assert len(frame.cells) == 40 > row["max_new_tokens"]


class Words:
    def decode(self, tokens: list[int]) -> str:
        return [" red", "\n", " ", "blue", "[/bold]"][tokens[0]]


def step(before: list[int], after: list[int], window: tuple[int, int]) -> GenerationStep:
    width = window[1] - window[0]
    output = type("Output", (), {"sampled_probs": torch.full((1, width), 0.25)})
    return GenerationStep(
        number=4,
        timestep=0,
        before=torch.tensor([before]),
        sample=torch.tensor([after]),
        window=window,
        num_forward_passes=torch.tensor([5]),
        num_skipped_tokens=torch.tensor([0]),
        mask_token_id=9,
        output=output,
    )


def test_each_position_looks_as_what_happened_to_it() -> None:
    frame = frame_of(step([9, 0, 0, 9, 1, 9], [3, 9, 4, 9, 1, 2], window=(0, 5)), Words())
    looks = ["committed", "remasked", "replaced", "masked", "kept", "filled"]
    assert [cell.look for cell in frame.cells] == looks
    assert [cell.text for cell in frame.cells] == ["blue", "░", "[/bold]", "░", "⏎", "␣"]
    assert frame.sure == (("blue", 0.25),)
    assert (
        frame.headline
        == "step 5 · 5 forward passes · 1 committed · 1 replaced · 1 remasked · 1 filled · 2 still masked"
    )


@pytest.mark.parametrize("colours", [True, False])
def test_rendering_keeps_every_token_as_it_is(colours: bool) -> None:
    frame = frame_of(step([9, 0, 0, 9, 1, 9], [3, 9, 4, 9, 1, 2], window=(0, 5)), Words())
    console = Console(file=io.StringIO(), width=100, force_terminal=colours, color_system="truecolor", highlight=False)
    console.print(render(frame, colours=colours))
    written = console.file.getvalue()
    if colours:
        assert "\x1b[1;30;42mblue" in written
        assert "\x1b[1;37;41m░" in written
    else:
        assert written.splitlines()[1] == "«blue» <░> {[/bold]} ░ ⏎ (␣)"
    assert "[/bold]" in written
    assert "blue 0.25" in written


def test_a_terminal_shows_the_answer_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    import rich.console

    written = io.StringIO()
    slept: list[float] = []
    real = rich.console.Console
    monkeypatch.setattr(
        rich.console, "Console", lambda **arguments: real(file=written, force_terminal=True, **arguments)
    )
    monkeypatch.setattr("benchmark.cli.watch.time.sleep", slept.append)
    assert run("--scheduler", "confidence:k=16", "--delay", "0.25").exit_code == 0
    assert slept == [0.25]
    assert "step 2" in written.getvalue()
    assert "\x1b[2K" in written.getvalue(), "the second frame takes the place of the first"


def test_steps_are_kept_as_text_or_as_a_picture(tmp_path: Path) -> None:
    text, picture = tmp_path / "new" / "steps.txt", tmp_path / "steps.svg"
    shown = run("--scheduler", "remdm:k=8", "--save", str(text))
    assert shown.output.replace(f"saved: {text}\n", "") == text.read_text(encoding="utf-8")
    assert run("--scheduler", "remdm:k=8", "--save", str(picture)).exit_code == 0
    svg = picture.read_text(encoding="utf-8")
    assert svg.startswith("<svg")
    assert "remasked" in svg
    assert re.findall(r"https?://[^\"')\s]+", svg.replace("http://www.w3.org/2000/svg", "")) == [RICH]
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["steps.svg", "steps.txt"]


TEMPLATE = "{% for message in messages %}{{ message['content'] }} {% endfor %}"


def test_a_model_with_weights_is_watched_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    size = {"vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = BertForMaskedLM(BertConfig(**size, intermediate_size=16, max_position_embeddings=512))
    model.config.mask_token_id = MASK
    model.save_pretrained(tmp_path)
    tokenizer = deepcopy(tiny_tokenizer())
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(tmp_path)
    result = run("--model", str(tmp_path), "--scheduler", "confidence:k=16", "--device", "cpu", "--dtype", "float32")
    assert result.exit_code == 0, result.output
    assert "step 2 · 2 forward passes · 16 committed · 0 still masked" in result.output.splitlines()
    assert re.search(r"probability: \S+ 0\.\d\d", result.output)


@pytest.mark.slow
def test_an_output_of_ascii_gets_ascii() -> None:
    command = ["parallelbench", *ARGUMENTS, "--scheduler", "confidence:k=16"]
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii:strict"}
    code = f"import sys; from benchmark.cli import main; sys.argv = {command!r}; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=os.environ | locale, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert b"step 1 - 1 forward pass - 16 committed - 16 still masked\n" in done.stdout
    assert b" _ _ " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--row", "100000"], "row 100000 of waiting_line_shuffle does not exist; rows are numbered from 0 to"),
        (["--task", "waiting_line_*"], "stands for"),
        (["--task", "nothing"], "unknown task 'nothing'"),
        (["--scheduler", "nothing"], "unknown scheduler 'nothing'"),
        (["--scheduler", "entropy:q=1"], "no parameter 'q'"),
        (["--model", "nothing"], "unknown model 'nothing'"),
        (["--max-new-tokens", "2"], "the longest answer takes"),
        (["--save", "steps.png"], "should end in .svg or .txt"),
        (["--save", ""], "it is empty"),
        (["--delay", "nan"], "not a finite number"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
