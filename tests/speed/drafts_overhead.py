"""What drafts cost beside the model: `python tests/speed/drafts_overhead.py`, milliseconds of one core (a minute).

A model that costs nothing (it hands out slices of logits made before) decodes 8 rows of 64 new tokens, by the threshold
method, and by the verified method with 8 states a row. The two take turns round by round, so that a slow moment meets
both. Printed are the medians of the processor time of a round for several vocabularies, and of the ratio of the two
rounds of a turn, with its quartiles; the aim is at most 2. The logits are such that no token is sure, so that a round
of the threshold method commits one token, and the verified method always looks at eight states.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from statistics import median, quantiles
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from samplers import ThresholdScheduler, VerifiedScheduler, stream

ROWS, NEW, STATES = 8, 64, 8


class FreeModel:
    """Logits of any batch, for nothing."""

    def __init__(self, vocab_size: int) -> None:
        self.mask_token_id = vocab_size - 1
        generator = torch.Generator().manual_seed(0)
        self._logits = torch.randn(ROWS * STATES, NEW, vocab_size, generator=generator)

    def __call__(self, input_ids: Tensor) -> Any:
        return SimpleNamespace(logits=self._logits[: len(input_ids)])


def rounds(model: FreeModel, scheduler: Any) -> Iterator[float]:
    """Milliseconds of processor time of every round of a generation but the first, which has no drafts."""
    steps = stream(model, torch.zeros(ROWS, 0, dtype=torch.long), scheduler=scheduler, max_new_tokens=NEW)
    next(steps)
    while True:
        began = time.process_time()
        if next(steps, None) is None:
            return
        yield 1000 * (time.process_time() - began)


def main() -> None:
    """Print a line for each vocabulary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[512, 4096, 32_768], metavar="TOKENS")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| vocabulary | threshold | verified | ratio | its quartiles |\n|---|---|---|---|---|")
    for vocab_size in options.vocabularies:
        model = FreeModel(vocab_size)
        turns = [
            turn
            for _ in range(options.repeats)
            for turn in zip(
                rounds(model, ThresholdScheduler()),
                rounds(model, VerifiedScheduler(drafts=STATES, accept=0)),
                strict=False,
            )
        ]
        plain, drafts = (median(times) for times in zip(*turns, strict=True))
        low, ratio, high = quantiles(drafted / single for single, drafted in turns)
        print(
            f"| {vocab_size} | {plain:.2f} ms | {drafts:.2f} ms | {ratio:.2f} | {low:.2f} to {high:.2f} |", flush=True
        )


if __name__ == "__main__":
    main()
