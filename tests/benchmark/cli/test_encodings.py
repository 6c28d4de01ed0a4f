"""Every command that prints tables, where output has no characters but ASCII, or those of Latin-1."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

pytestmark = pytest.mark.slow

TASK = "waiting_line_shuffle"
RUN = ["run", "--model", "ideal", "--task", TASK, "--samples", "6", "--seeds", "2", "--max-new-tokens", "32"]
COMMANDS = [
    # Two seeds, so that there is a column with ±.
    [*RUN, "--scheduler", "confidence:k=8", "--output", "first"],
    [*RUN, "--scheduler", "random:k=8", "--output", "second"],
    ["report", "first", "second", "--output", "both"],
    # Methods with an arrow between them, intervals with dots, flips with signs of their own.
    ["compare", "first", "second", "--show", "2"],
    ["compare", "first", "second", "--json"],
    ["compare", "first", "second", "--csv"],
    ["watch", "--task", TASK, "--scheduler", "remdm:k=8", "--delay", "0"],
    ["watch", "--run", "first", "--task", TASK, "--delay", "0"],
    *(["list", what] for what in ("tasks", "schedulers", "models", "grids")),
    ["publish", "first", "--to", "ada/runs", "--dry-run"],
    ["lm-eval-tasks", "--task", TASK, "--output", "lm-eval"],
    ["run", "--model", "ideal", "--task", TASK, "--samples", "2", "--dry-run"],
    ["run", "--task", "±→…"],
]
DRIVER = """
import json, sys
from benchmark.cli import main
codes = []
for command in json.loads(sys.argv[1]):
    print("##", command[0], flush=True)
    try:
        main(command, prog_name="parallelbench")
        codes.append(0)
    except SystemExit as end:
        codes.append(end.code or 0)
    sys.stdout.flush()
open("codes.json", "w").write(json.dumps(codes))
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_no_command_ends_at_a_sign(encoding: str, tmp_path: Path) -> None:
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": f"{encoding}:strict"}
    variables = {**os.environ, **locale, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", DRIVER, json.dumps(COMMANDS)]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr
    codes = json.loads((tmp_path / "codes.json").read_text())
    assert codes == [*[0] * (len(COMMANDS) - 1), 2], done.stderr
    told = done.stdout.decode(encoding)
    if encoding == "ascii":
        assert "confidence(k=8) -> random(k=8)" in told
        assert "+- of" in told
    else:
        assert "± of" in told
        assert "step 1 · " in told
