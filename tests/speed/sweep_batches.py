"""What the sweep engine makes of a GPU whose pass times are known: `tests/speed/sweep_batches.py --questions 4 8`.

The paper's grid for 32 new tokens, decided by the reference model on the CPU, with a stand-in for the large model: a
clock that a batch takes its time from, behind those that were sent before, while the host's steps take theirs. Printed
are batches by size, how long the GPU was busy, and how many times the usual style would have taken as long.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2]),
                str(Path(__file__).resolve().parent)]  # fmt: skip

import numpy as np
import torch
from pass_time_gpu import network
from sweep_large import NumberedReader, Sweep
from sweep_speed import SHORT, methods_of_the_paper

from benchmark.engine import states
from benchmark.engine.chunks import Chunk
from benchmark.engine.sent import SentBatch
from benchmark.models import HubModel, ModelOptions
from hub_dataset.parts import MODEL
from samplers import RecordedProposal

#: Rows → milliseconds of a compiled pass over 182 tokens each, as measured on an H100 (docs/speed.md).
PASSES = {1: 12.5, 4: 18.4, 16: 72.0, 64: 272.0, 128: 532.5, 256: 1062.0}
TOKENS = 182
#: The usual style's pass there.
USUAL = 26.5
# Seconds of the host: a step of a cohort, of each of its rows, and until a pass is launched.
_STEP, _ROW, _LAUNCH = 6e-4, 2e-5, 12e-3


class Clock:
    """The time of the host and of the GPU, in seconds."""

    def __init__(self) -> None:
        self.host = self.free = self.busy = 0.0
        self.sizes: Counter[int] = Counter()

    def send(self, rows: int, tokens: int) -> float:
        """A pass is sent off; returns when it is done."""
        self.host += _LAUNCH
        alike = float(np.interp(rows, list(PASSES), list(PASSES.values()))) * tokens / TOKENS
        taken = max(alike, PASSES[1]) / 1000
        self.free = max(self.host, self.free) + taken
        self.busy += taken
        self.sizes[rows] += 1
        return self.free


class StandInReader(NumberedReader):
    """Takes the time of a large model."""

    clock: Clock
    done = 0.0

    def read(self, prompts: torch.Tensor, answers: torch.Tensor, length: int | None = None) -> RecordedProposal:
        columns = self._prompts.shape[1] if length is None else length
        StandInReader.done = self.clock.send(len(prompts), columns + answers.shape[1])
        return self.decisions.of(self.questions(prompts), answers, torch.device("cpu"))


class StandInBatch(SentBatch):
    """Is there when the clock says so."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._clock, self._done = StandInReader.clock, StandInReader.done

    def is_there(self) -> bool:
        return self._clock.host >= self._done

    def record(self) -> Any:
        self._clock.host = max(self._clock.host, self._done)
        return super().record()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="waiting_line_shuffle")
    parser.add_argument("--questions", type=int, nargs="+", default=[4])
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--every", type=int, default=1, help="only every so many settings of the paper's grid")
    options = parser.parse_args()
    step = Chunk.go_on

    def timed_step(chunk: Chunk, standing: Any) -> bool:
        StandInReader.clock.host += _STEP + _ROW * len(chunk.chosen)
        return step(chunk, standing)

    Chunk.go_on = timed_step  # type: ignore[method-assign]
    states.SentBatch = StandInBatch  # type: ignore[misc]
    states._MOST_SENT["cpu"] = 2
    states._JOINS_LENGTHS.add("cpu")
    reference = HubModel(str(MODEL), ModelOptions(device="cpu"))
    large = network("cpu", True, vocab_size=4096, embedding_size=4096)
    methods = methods_of_the_paper(SHORT, options.every)
    sweep = Sweep(large, reference, methods, SHORT, options.batch_size, reader=StandInReader)
    for questions in options.questions:
        # The reference is asked by the same engine, and takes no time.
        clock = StandInReader.clock = Clock()
        sweep.before = lambda clock=clock: clock.__init__()
        counts, _ = sweep.run(options.task, questions)
        bounds = (1, 4, 16, 32, 64, 128)
        sizes = (f"{sum(n for size, n in clock.sizes.items() if size <= upto)} up to {upto}" for upto in bounds)
        print(
            f"{options.task}, {questions} questions, {len(methods)} settings: {counts.states:,} passes, "
            f"{counts.passes:,} distinct ({counts.states / counts.passes:.2f}); {clock.sizes.total()} batches, "
            f"{', '.join(sizes)}; {clock.host:.1f} s, of which the GPU is busy for {clock.busy:.1f}: "
            f"{1e3 * clock.host / counts.passes:.2f} ms a distinct state; usual over ours "
            f"{counts.states * USUAL / 1e3 / clock.host:.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
