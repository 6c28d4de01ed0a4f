"""Tests of atomic writes and of holding a file against other processes, also where the file system has no locks."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hub_dataset.disk import only_one_process, write_atomically

NO_LOCKS = [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS]
# A process in which flock fails with the number given, or works where that is 0.
START = """
import errno, fcntl, os, sys, time
from pathlib import Path
from hub_dataset.disk import only_one_process
folder, number = Path(sys.argv[1]), int(sys.argv[2])
def refuse(*arguments):
    raise OSError(number, os.strerror(number))
if number:
    fcntl.flock = refuse
"""
HOLD = """
with only_one_process(folder / "lock", "busy"):
    print("held", flush=True)
    sys.stdin.readline()
"""
COUNT = """
for _ in range(40):
    with only_one_process(folder / "lock", "busy", wait_seconds=60):
        count = int((folder / "count").read_text())
        time.sleep(0.001)
        (folder / "count").write_text(str(count + 1))
"""


def start(code: str, folder: Path, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", START + code, str(folder), str(number)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def flock_refused(request, monkeypatch):
    def refuse(*arguments):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr("fcntl.flock", refuse)


@pytest.mark.parametrize("number", [0, errno.ENOLCK])
def test_processes_that_write_at_once_lose_nothing(tmp_path, number):
    (tmp_path / "count").write_text("0")
    processes = [start(COUNT, tmp_path, number) for _ in range(3)]
    for process in processes:
        assert process.communicate(timeout=60)[1] == ""
    assert (tmp_path / "count").read_text() == "120"


@pytest.mark.parametrize("number", [0, errno.ENOLCK])
def test_second_process_is_refused_until_the_first_ends(tmp_path, number):
    holder = start(HOLD, tmp_path, number)
    assert holder.stdout.readline() == "held\n"
    second = start(HOLD, tmp_path, number)
    errors = second.communicate("\n", timeout=30)[1]
    assert "ValueError: busy" in errors
    assert (f"delete {tmp_path / 'lock.held'}" in errors) == bool(number)
    holder.communicate("\n", timeout=30)
    assert holder.returncode == 0
    assert not (tmp_path / "lock.held").exists()
    assert start(HOLD, tmp_path, number).communicate("\n", timeout=30)[0] == "held\n"


@pytest.mark.parametrize("number", [0, errno.ENOLCK])
def test_what_a_killed_process_held_is_taken_over(tmp_path, number):
    holder = start(HOLD, tmp_path, number)
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert (tmp_path / "lock.held").exists() == bool(number)
    output, errors = start(HOLD, tmp_path, number).communicate("\n", timeout=30)
    assert (output, errors) == ("held\n", "")


@pytest.mark.parametrize("flock_refused", NO_LOCKS, indirect=True)
def test_file_system_without_locks_is_used_all_the_same(tmp_path, flock_refused):
    for _ in range(2):
        with only_one_process(tmp_path / "lock", "busy"):
            assert (tmp_path / "lock.held").read_text().startswith(f"{os.getpid()}\n")
        assert not (tmp_path / "lock.held").exists()


@pytest.mark.parametrize("flock_refused", NO_LOCKS, indirect=True)
def test_holder_on_another_machine_is_believed_and_its_file_named(tmp_path, flock_refused):
    marker = tmp_path / "lock.held"
    marker.write_text("1\nanother-host\n")
    with (
        pytest.raises(ValueError, match=r"busy.*no locks.*delete .*lock\.held"),
        only_one_process(tmp_path / "lock", "busy"),
    ):
        pass
    assert marker.exists()


@pytest.mark.parametrize("flock_refused", [errno.EIO], indirect=True)
def test_other_errors_of_a_lock_are_not_taken_for_a_file_system_without(tmp_path, flock_refused):
    with pytest.raises(OSError, match="Input/output"), only_one_process(tmp_path / "lock", "busy"):
        pass


def test_atomic_write_replaces_the_whole_file_or_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "file"
    write_atomically(path, b"old")

    def fail(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]
