"""What several test modules share: where the golden files are, how the command line and a process are started."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = Path(__file__).resolve().parent / "golden"
FULL = Path(os.environ.get("PARALLELBENCH_GOLDEN", ROOT.parent / "shared" / "golden"))


def golden_files(name: str) -> list[Any]:
    """Parameters for a parity test: the sample in this repository, and the whole file where it is at hand."""
    full = FULL / name
    absent = pytest.mark.skipif(not full.exists(), reason=f"only the sample of {name} is here; the whole file is not")
    return [pytest.param(SAMPLES / name, id="sample"), pytest.param(full, id="full", marks=absent)]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """All objects of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def call(*arguments: str) -> Result:
    """The command line `parallelbench` in this process."""
    from benchmark.cli import main

    return CliRunner().invoke(main, list(arguments), prog_name="parallelbench")


def heed_interrupts() -> None:
    """The `preexec_fn` of a process to interrupt: what a shell runs in the background is started deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
