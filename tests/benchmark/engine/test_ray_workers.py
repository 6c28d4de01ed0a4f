"""Workers of Ray: the bytes of one process, whoever is killed, and nothing that is left running afterwards."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, heed_interrupts

from benchmark.models import reference

pytest.importorskip("ray", reason="workers take the package ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not reference.is_here(), reason="the reference model is not here"),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc"),
]

MAIN = "from benchmark.cli import main; main()"
TASKS = ("waiting_line_copy", "waiting_line_shuffle", "waiting_line_sort")
PAPER = ["--grid", "paper", "--model", "reference", *(part for task in TASKS for part in ("--task", task))]
PAPER += ["--samples", "1"]
SMALL = ["--model", "reference", "--task", "waiting_line_shuffle", "--samples", "8", "--scheduler", "random:k=[1,2,4]"]
SMALL += ["--scheduler", "klass:k=8,threshold=0.9"]
# Long enough where others use the machine too.
SOON = 900


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", MAIN, "run", *arguments]


def environment() -> dict[str, str]:
    # Nothing else runs beside these tests, and one process may take all cores.
    kept = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    # A cluster that is named by its address asks for its token, which Ray then finds by itself.
    return {**kept, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "token"}


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A run in a session of its own, as a terminal starts one."""
    process = subprocess.Popen(
        command(*arguments), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(),
        preexec_fn=heed_interrupts, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def finish(*arguments: str) -> str:
    done = subprocess.run(command(*arguments), capture_output=True, text=True, env=environment(), timeout=2 * SOON)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wait_for(what: Callable[[], Any], process: subprocess.Popen[str] | None = None) -> Any:
    until = time.monotonic() + SOON
    while not (found := what()):
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def answers_in(directory: str) -> int:
    """Answers that are on disk, whole settings or not."""
    files = [path for ending in ("part", "jsonl") for path in Path(directory).rglob(f"*.{ending}")]
    total = 0
    for path in files:
        try:
            total += path.read_bytes().count(b'"prediction"')
        except FileNotFoundError:  # it has become a whole file since
            continue
    return total


def children_of(pid: int, name: str) -> list[int]:
    """Processes below another one whose command says that they are workers that are answering."""
    parents: dict[int, int] = {}
    titles: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status = (folder / "stat").read_text()
                titles[int(folder.name)] = (folder / "cmdline").read_text()
            except (OSError, ValueError):
                continue
            parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])

    def is_below(one: int) -> bool:
        while one in parents and one != pid:
            one = parents[one]
        return one == pid

    return [one for one, title in titles.items() if name in title and one != pid and is_below(one)]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def contents(directory: str) -> dict[str, bytes]:
    """Samples by their path, without the seconds, what is shared, and the checksum over these."""
    import re

    machine = rb'"seconds":[^,}]*,|"shared":[a-z]*,|"sha256": "[0-9a-f]*"'
    root = Path(directory) / "samples"
    return {str(path.relative_to(root)): re.sub(machine, b"", path.read_bytes()) for path in root.rglob("*.json*")}


def test_a_worker_that_is_killed_is_started_again_and_costs_no_answer(elsewhere: Path) -> None:
    finish(*SMALL, "--output", "alone/run")
    with started(*SMALL, "--workers", "2", "--output", "crew/run") as process:
        wait_for(lambda: answers_in("crew/run") > 0, process)
        # Both, one after the other: neither is the one that nobody needs.
        for _ in range(2):
            worker = wait_for(lambda: children_of(process.pid, "_Actor.answer"), process)[0]
            os.kill(worker, signal.SIGKILL)
            wait_for(lambda worker=worker: not is_alive(worker))
        printed, _ = process.communicate(timeout=SOON)
    assert process.returncode == 0, printed
    assert printed.count("died on reference, waiting_line_shuffle (its process ended); it is started again") == 2
    assert contents("crew/run") == contents("alone/run")


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminated"])
def test_a_stop_ends_all_processes_and_keeps_what_is_done(told: signal.Signals, elsewhere: Path) -> None:
    with started(*SMALL, "--workers", "2", "--output", "crew/run") as process:
        wait_for(lambda: answers_in("crew/run") > 0, process)
        below = children_of(process.pid, "")
        if told == signal.SIGINT:
            # A terminal tells all processes of its group.
            os.killpg(process.pid, told)
        else:
            process.send_signal(told)
        printed, _ = process.communicate(timeout=SOON)
    assert process.returncode == 128 + told, printed
    assert "stopped; what is finished is kept, and the same command goes on from here" in printed
    assert len(below) >= 2
    wait_for(lambda: not any(map(is_alive, below)))
    assert answers_in("crew/run") > 0


def test_the_papers_grid_killed_twice_is_what_one_process_decodes_without_sharing(elsewhere: Path) -> None:
    finish(*PAPER, "--no-sharing", "--output", "alone/run")
    total = answers_in("alone/run")
    for share in (0.1, 0.5):
        with started(*PAPER, "--workers", "2", "--output", "crew/run") as process:
            wait_for(lambda share=share: answers_in("crew/run") > share * total, process)
            below = children_of(process.pid, "_Actor.answer")
            process.kill()
            process.wait()
        assert below
        wait_for(lambda below=below: not any(map(is_alive, below)))
        kept = answers_in("crew/run")
        assert kept < total
    assert "all 450 settings" not in finish(*PAPER, "--workers", "2", "--output", "crew/run")
    assert answers_in("crew/run") == total == 450
    assert contents("crew/run") == contents("alone/run")
    assert not list(Path("crew").rglob("*.part"))


@contextmanager
def cluster(port: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A cluster of one machine: its address and its process."""
    ray = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", "--port", str(port)]
    ray += ["--num-cpus", "2", "--include-dashboard", "false", "--disable-usage-stats"]
    process = subprocess.Popen(
        ray, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(), start_new_session=True
    )
    try:
        assert process.stdout is not None
        assert any("Ray runtime started" in line for line in process.stdout)
        yield f"127.0.0.1:{port}", process
    finally:
        below = children_of(process.pid, "")
        process.terminate()
        process.wait(SOON)
        for one in filter(is_alive, below):
            os.kill(one, signal.SIGKILL)


def test_a_cluster_that_is_there_is_used_and_left_running(elsewhere: Path) -> None:
    with cluster(63790) as (address, process):
        on_it = [*SMALL, "--ray", address]
        assert "say with --workers N how many processes are to answer" in refused(*on_it, "--output", "refused")
        finish(*on_it, "--workers", "2", "--output", "crew/run")
        # It is there for others, and holds nothing of this run.
        assert children_of(process.pid, "raylet")
        wait_for(lambda: not children_of(process.pid, "_Actor"))
    finish(*SMALL, "--output", "alone/run")
    assert contents("crew/run") == contents("alone/run")


def refused(*arguments: str) -> str:
    done = subprocess.run(command(*arguments), capture_output=True, text=True, env=environment(), timeout=SOON)
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stderr
