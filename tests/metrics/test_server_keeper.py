"""The script that ends a command when its owner is gone."""

import subprocess
import sys
import time

import pytest


@pytest.fixture
def start(part):
    def start(*command):
        script = str(part("server_keeper").SCRIPT)
        return subprocess.Popen([sys.executable, "-I", "-S", script, *command], stdin=subprocess.PIPE)

    return start


def test_exit_code_is_that_of_the_command(start):
    with start(sys.executable, "-c", "raise SystemExit(7)") as keeper:
        assert keeper.wait(timeout=20) == 7


def test_command_ends_when_standard_input_closes(start):
    with start(sys.executable, "-c", "import time; time.sleep(100)") as keeper:
        time.sleep(0.3)
        assert keeper.poll() is None
        keeper.stdin.close()
        assert keeper.wait(timeout=20) != 0
