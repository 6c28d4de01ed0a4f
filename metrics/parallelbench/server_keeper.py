"""Runs a command and ends it when standard input closes, that is, when whoever started this script is gone.

A server started this way outlives neither a normal end of its owner nor a kill, on any operating system.
"""

import os
import subprocess
import sys
import threading
from pathlib import Path

SCRIPT = Path(__file__)


def main() -> None:
    """Run the command that the arguments are, without standard input, and exit as it does."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)

    def watch() -> None:
        while os.read(0, 4096):
            pass
        child.kill()

    threading.Thread(target=watch, daemon=True).start()
    code = child.wait()
    sys.stdout.flush()
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
