"""What several test modules share: where the golden files are, how the command line and a process are started."""

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = Path(__file__).resolve().parent / "golden"
FULL = Path(os.environ.get("PARALLELBENCH_GOLDEN", ROOT.parent / "shared" / "golden"))

#: A file with two tasks of somebody's own.
OWN_TASKS = """
category: custom
config_name: my_{task}
settings: {min_length: 3, max_length: 4, shots: 0, rows: 6, max_new_tokens: 24}
tasks:
  tools: {type: shuffle, pool: [hammer, saw, file, chisel, drill]}
  sums: {type: cumulative_sum, max_number: 9}
"""


def golden_files(name: str) -> list[Any]:
    """Parameters for a parity test: the sample in this repository, and the whole file where it is at hand."""
    full = FULL / name
    absent = pytest.mark.skipif(not full.exists(), reason=f"only the sample of {name} is here; the whole file is not")
    return [pytest.param(SAMPLES / name, id="sample"), pytest.param(full, id="full", marks=absent)]


def slow_except(fast: Iterable[Any], every: Iterable[Any]) -> list[Any]:
    """Parameters of which some stand for all in the fast suite."""
    chosen = list(fast)
    values = {one: one if isinstance(one, tuple) else (one,) for one in every}
    return [one if one in chosen else pytest.param(*of, marks=pytest.mark.slow) for one, of in values.items()]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """All objects of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def timeless(path: Path) -> bytes:
    """The bytes of a file of samples without the seconds that they took, and the checksum over these."""
    return re.sub(rb'"seconds":[^,}]*,|"sha256": "[0-9a-f]*"', b"", path.read_bytes())


def call(*arguments: str) -> Result:
    """The command line `parallelbench` in this process."""
    from benchmark.cli import main

    return CliRunner().invoke(main, list(arguments), prog_name="parallelbench")


def assert_one_line(result: Result, expected: str) -> None:
    """That a command was refused, in one line that has these words."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert expected in result.stderr


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        # It ended in between, or this system has no such folder.
        return not Path("/proc").is_dir()


def comes_true(condition: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether a condition holds, now or within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def heed_interrupts() -> None:
    """The `preexec_fn` of a process to interrupt: what a shell runs in the background is started deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
