"""`parallelbench watch`: every step of one decoding, in a terminal, in a pipe and in a file."""

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
from support import OWN_TASKS, ROOT
from tiny_models import save_reference
from tiny_pipeline import MASK, WORDS, tiny_tokenizer
from transformers import BertConfig, BertForMaskedLM

from benchmark.cli import main
from benchmark.cli.watch import WatchOptions, decode
from benchmark.protocol.method import Method
from hub_dataset import build_rows

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
    frames, again, other = (
        list(decode(row, setting, WatchOptions("waiting_line_shuffle", seed=seed))) for seed in (0, 0, 1)
    )
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
    (frame,) = decode(row, Method.of("confidence", {"k": 64}), WatchOptions("waiting_line_shuffle", model=directory))
    assert len(frame.cells) == 40 > row["max_new_tokens"]


def test_a_terminal_shows_the_answer_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    import rich.console

    written = io.StringIO()
    slept: list[float] = []
    real = rich.console.Console
    monkeypatch.setattr(
        rich.console, "Console", lambda **arguments: real(file=written, force_terminal=True, **arguments)
    )
    monkeypatch.setattr("benchmark.cli.drawing.time.sleep", slept.append)
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


# -- from a stored run ---------------------------------------------------------------------------------------------


@pytest.fixture
def stored(elsewhere: Path) -> Path:
    """A run of the ideal model under two methods, in the working directory."""
    methods = ["--scheduler", "random:k=8", "--scheduler", "threshold:threshold=0.9,temperature=0"]
    arguments = ["run", "--model", "ideal", "--task", "waiting_line_shuffle", "--samples", "3", "--output", "out/run"]
    assert CliRunner().invoke(main, [*arguments, *methods]).exit_code == 0
    return Path("out/run")


@pytest.mark.parametrize("scheduler", ["random:k=8", "threshold:threshold=0.9,temperature=0"])
def test_the_kept_steps_are_those_of_decoding_again(
    scheduler: str, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = run("--scheduler", scheduler)
    monkeypatch.setattr("benchmark.models.load_model", None)
    kept = run("--scheduler", scheduler, "--run", str(stored))
    assert kept.exit_code == 0, kept.output

    def plain(output: str) -> list[str]:
        """Its words without the probabilities, and with what stands behind the end as it is kept."""
        text = re.sub(r"probability: .*?(?=step |a right answer)", "", output, flags=re.DOTALL)
        return text.replace("<|end|>", "·").split()

    assert plain(kept.output) == plain(decoded.output)
    assert kept.output.count("░") > 20


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], r"has several on waiting_line_shuffle; name one with --scheduler: random\(k=8\), threshold"),
        (["--scheduler", "margin:k=8"], r"no answers of ideal on waiting_line_shuffle under margin\(k=8\)"),
        (["--scheduler", "random:k=8", "--model", "other"], "no answers of other on waiting_line_shuffle"),
        (["--scheduler", "random:k=8", "--row", "7"], "no answer to row 7 of waiting_line_shuffle; it has 3"),
        (["--scheduler", "random:k=8", "--seed", "4"], r"random\(k=8\)\.seed4\.jsonl is absent"),
    ],
)
def test_what_a_run_has_not_kept_is_one_line(arguments: list[str], expected: str, stored: Path) -> None:
    result = run("--run", str(stored), *arguments)
    assert result.exit_code == 2
    assert re.search(expected, result.output)


def test_the_only_task_of_a_run_need_not_be_named(stored: Path) -> None:
    asked = ["--run", str(stored), "--scheduler", "random:k=8", "--row", "2"]
    shown = CliRunner().invoke(main, ["watch", *asked])
    assert shown.exit_code == 0, shown.output
    assert shown.output == run(*asked).output


@pytest.mark.parametrize("kept", [False, True])
def test_without_a_task_and_without_a_run_of_one_the_line_says_what_to_name(kept: bool, elsewhere: Path) -> None:
    arguments, expected = ["watch"], "name a task with --task"
    if kept:
        tasks = ["--task", "waiting_line_copy", "--task", "waiting_line_shuffle"]
        made = ["run", "--model", "ideal", *tasks, "--scheduler", "random:k=8", "--samples", "1", "--output", "out/run"]
        assert CliRunner().invoke(main, made).exit_code == 0
        arguments, expected = ["watch", "--run", "out/run"], "--task: waiting_line_copy, waiting_line_shuffle"
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_run_of_a_task_of_ones_own_says_where_that_came_from(elsewhere: Path) -> None:
    Path("mine.yaml").write_text(OWN_TASKS)
    made = ["run", "--config", "mine.yaml", "--task", "my_tools", "--model", "ideal", "--scheduler", "random:k=8"]
    assert CliRunner().invoke(main, [*made, "--samples", "1", "--output", "out/run"]).exit_code == 0
    result = CliRunner().invoke(main, ["watch", "--run", "out/run"])
    assert result.exit_code == 2
    assert re.search(r"my_tools, .*mine\.yaml.*--config", result.stderr)
    assert CliRunner().invoke(main, ["watch", "--run", "out/run", "--config", "mine.yaml"]).exit_code == 0


def test_an_answer_that_was_kept_without_steps_is_one_line(stored: Path) -> None:
    path = stored / "samples/ideal/waiting_line_shuffle/random(k=8).seed0.jsonl"
    from benchmark.store.runs import RunStore

    key = "ideal", "waiting_line_shuffle", Method.parse("random(k=8)")
    rows = [{name: row[name] for name in row if name != "tokens"} for row in RunStore(stored).read_samples(*key)]
    RunStore(stored).write_samples(*key, rows)
    assert path.exists()
    assert "without the steps to it" in run("--run", str(stored), "--scheduler", "random:k=8").output
