"""Worker processes that do not outlive the process that started them."""

from __future__ import annotations

import os
import threading
from multiprocessing import parent_process


def end_with_parent() -> None:
    """End this process as soon as its parent has ended; does nothing in a process that `multiprocessing` did not start.

    A killed parent stops none of its processes, and one that waits for work or for room in a queue waits for ever.
    """
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
