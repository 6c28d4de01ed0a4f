"""A model in the full shape of LLaDA-8B on one GPU, through the command line: with room, without, and compiled."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from gpu_models import (
    DEVICE,
    LARGE,
    REHEARSED,
    MemoryWatch,
    another_process_leaves,
    call,
    command,
    compared,
    environment,
    note,
    on_a_gpu,
    samples,
    save_large,
    weight_bytes,
)

from benchmark.protocol.method import Method
from benchmark.store.runs import RunStore

has_room = REHEARSED or (torch.cuda.is_available() and torch.cuda.get_device_properties(0).total_memory > LARGE)
pytestmark = [*on_a_gpu, pytest.mark.skipif(not has_room, reason="the GPU is too small for eight billion weights")]

# Nothing is surer than that with random weights: a few tokens of each step are.
THREE = ["--scheduler", "confidence:k=4", "--scheduler", "threshold:threshold=0.001", "--scheduler", "remdm:k=4"]
RUN = ["--device", DEVICE, "--dtype", "bfloat16", "--task", "waiting_line_shuffle", "--max-new-tokens", "32"]
# Compiled layers round otherwise.
RUN += ["--allow-unanswerable", "--no-compile"]
ROWS = "64"
#: Bytes, too few for so many rows: the logits alone are a third of it, and their float32 copies more than all.
LEFT = 1400 << 20


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_large(tmp_path_factory.mktemp("large"))


@pytest.fixture(scope="module")
def with_room(large: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the plain command line gives, as a process of its own, with its report."""
    output = tmp_path_factory.mktemp("runs") / "with-room"
    began = time.monotonic()
    with MemoryWatch() as memory:
        done = subprocess.run(
            command("run", "--model", str(large), *RUN, *THREE, "--samples", ROWS, "--output", str(output)),
            capture_output=True,
            text=True,
            timeout=240,
            env=environment(output.parent),
        )
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if "tokens/s" in line and "done" in line]
    note(f"full size, a GPU with room: {line}")
    note(f"  {time.monotonic() - began:.1f} s for the whole command, at most {memory} of the GPU taken")
    return output


def test_the_command_line_runs_a_full_size_model(large: Path, with_room: Path) -> None:
    store = RunStore(with_room)
    settings = store.read_settings()
    (entry,) = settings["models"]
    note(f"  settings.json: dtype {entry['dtype']}, revision {entry['revision']}, devices {settings['devices']}")
    assert entry["dtype"] == "bfloat16"
    for label in ("confidence(k=4)", "threshold(threshold=0.001)", "remdm(k=4)"):
        found = store.read_samples(str(large), "waiting_line_shuffle", Method.parse(label))
        assert len(found) == int(ROWS)
        assert len({sample["prediction"] for sample in found}) > 1
    assert (with_room / "summary.json").exists()


@pytest.mark.parametrize("batch", ["auto", ROWS])
def test_a_full_size_model_runs_in_what_another_process_leaves(
    batch: str, large: Path, with_room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.cli.run.show_report", lambda directory, published: None)
    arguments = ["run", "--model", str(large), *RUN, *THREE, "--samples", ROWS, "--batch-size", batch]
    with another_process_leaves(weight_bytes(large) + LEFT, monkeypatch):
        result = call(*arguments, "--output", str(tmp_path / "run"))
    assert result.exit_code == 0, result.output
    halved = [line for line in result.stdout.splitlines() if "rows did not fit into memory" in line]
    (line,) = [line for line in result.stdout.splitlines() if "tokens/s" in line and "done" in line]
    note(f"full size, {LEFT / 1e9:.1f} GB beside the weights, --batch-size {batch}: {line}")
    for notice in halved:
        note(f"  {notice.partition(': ')[2]}")
    # Rounding differs between batch sizes, and in bfloat16 it decides about some tokens.
    note(f"  beside the run with room: {compared(with_room, tmp_path / 'run')[1]}")
    assert samples(tmp_path / "run").keys() == samples(with_room).keys()
    if batch == ROWS:
        assert halved
    elif not REHEARSED:
        assert f"up to {ROWS} rows" not in line


#: The command line, which also writes how each batch went: rows, tokens and seconds.
_WATCHED = """
import json, sys
from benchmark.cli import main
from benchmark.loggers.terminal import RunProgress
def watched(self, job, answered):
    tokens = sum(sample["num_tokens"] for sample in answered.samples)
    print("batch", json.dumps([len(answered.samples), tokens, answered.seconds]), file=sys.stderr, flush=True)
RunProgress.samples_done = watched
RunProgress._speed = lambda self, job: None
main()
"""


def test_a_compiled_full_size_model_beside_the_eager_one(large: Path, tmp_path: Path) -> None:
    speeds = {}
    for name, more in {"eager": [], "compiled": ["--compile"]}.items():
        # Two settings of as many passes: the first compiles.
        schedulers = ["--scheduler", "confidence:k=4", "--scheduler", "entropy:k=4"]
        # Shared states fill batches of other sizes.
        arguments = [*RUN, *schedulers, "--samples", ROWS, "--batch-size", "16", "--no-sharing", *more]
        output = tmp_path / name / "run"
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", _WATCHED, "run", "--model", str(large), *arguments, "--output", str(output)],
            capture_output=True,
            text=True,
            timeout=180,
            env=environment(tmp_path),
        )
        assert done.returncode == 0, done.stderr[-3000:]
        lines = [line for line in done.stderr.splitlines() if line.startswith("batch ")]
        batches = [json.loads(line.removeprefix("batch ")) for line in lines]
        assert [rows for rows, *_ in batches] == [16] * (2 * int(ROWS) // 16)
        speeds[name] = max(tokens / seconds for _, tokens, seconds in batches[len(batches) // 2 :])
        seconds = ", ".join(f"{seconds:.2f}" for *_, seconds in batches)
        note(
            f"full size, 16 rows, k=4, {name}: {speeds[name]:.1f} tokens/s at best, batches took {seconds} s, "
            f"the whole command {time.monotonic() - began:.1f} s"
        )
    note(f"  compiled over eager: {speeds['compiled'] / speeds['eager']:.2f}")
    note(f"  {compared(tmp_path / 'eager' / 'run', tmp_path / 'compiled' / 'run')[1]}")
    (entry,) = RunStore(tmp_path / "compiled" / "run").read_settings()["models"]
    assert entry["compiled"] is True
