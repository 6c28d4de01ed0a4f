"""Measures generation by hand: `python tests/speed/generation_speed.py [TASK]...`, rows per second on one core.

Each task's train rows are drawn, encoded as they are written, and hashed. The baseline that ratios refer to is
`json.dumps` of the same rows, timed in the same run; time is that of the processor, which other programs do not change.
"""

import json
import sys
import time
from collections.abc import Callable
from hashlib import sha256

from hub_dataset import config_names, iterate_rows, task_info
from hub_dataset.rows import canonical_line

ROWS = 20_000


def seconds(call: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def make(config: str, names: str) -> bytes:
    """Draws, encodes and hashes `ROWS` rows, as `build` does before it writes them."""
    digest = sha256()
    for row in iterate_rows(config, "train", ROWS, names=names):
        digest.update(canonical_line(row).encode() + b"\n")
    return digest.digest()


def main() -> None:
    """Print one line per task, and one more with made-up names where it is about people."""
    configs = sys.argv[1:] or [name for name in config_names() if "train" in task_info(name).splits]
    print(f"{'':34}{'rows/s':>10}{'ratio to json.dumps':>22}")
    for config in configs:
        for names in ("listed", "generated") if task_info(config).items == "people" else ("listed",):
            next(
                iterate_rows(config, "train", 1, names=names)
            )  # what is drawn once, the questions of test, is not timed
            rows = list(iterate_rows(config, "train", ROWS, names=names))
            baseline = ROWS / seconds(lambda rows=rows: [json.dumps(row) for row in rows])
            del rows
            rate = ROWS / seconds(lambda config=config, names=names: make(config, names))
            label = config + (" (made up)" if names == "generated" else "")
            print(f"{label:34}{rate:>10,.0f}{rate / baseline:>22.2f}", flush=True)


if __name__ == "__main__":
    main()
