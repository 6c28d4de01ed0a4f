"""No worker process outlives the process that started it."""

import os
import subprocess
import sys
from pathlib import Path

from support import ROOT, comes_true, is_alive

PARENT = """
import multiprocessing, sys, time
from hub_dataset.processes import end_with_parent

def work(path):
    end_with_parent()
    with open(path, "w") as file:
        print(multiprocessing.current_process().pid, file=file)
    time.sleep(120)

if __name__ == "__main__":
    multiprocessing.get_context("spawn").Process(target=work, args=(sys.argv[1],)).start()
    time.sleep(120)
"""


def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script, noted = tmp_path / "parent.py", tmp_path / "pid"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, script, noted], env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        assert comes_true(lambda: noted.exists() and noted.read_text().endswith("\n"), seconds=60)
        worker = int(noted.read_text())
        assert is_alive(worker)
    finally:
        parent.kill()
        parent.wait()
    assert comes_true(lambda: not is_alive(worker))
