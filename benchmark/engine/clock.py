"""The time of decoding: wall-clock time without what comes once, compiling a model and capturing its passes."""

from __future__ import annotations

import sys
import time


def warm_up_time() -> float:
    """Seconds of this process that went into compiling and capturing so far, whichever thread did it."""
    graphs = sys.modules.get("samplers.denoisers.graphs")
    return 0.0 if graphs is None else float(graphs.seconds_of_warming_up())


def decoding_time() -> float:
    """Seconds, of which only differences mean something."""
    return time.monotonic() - warm_up_time()


class WarmUp:
    """Tells how much warm-up there was since it was last asked."""

    def __init__(self) -> None:
        self._told = warm_up_time()

    def since(self) -> float:
        """Seconds."""
        now = warm_up_time()
        told, self._told = self._told, now
        return max(now - told, 0.0)
