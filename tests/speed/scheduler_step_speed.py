"""Measures `step` by hand: `python tests/speed/scheduler_step_speed.py [SCHEDULER]...`, milliseconds on one core.

Every scheduler takes its first two steps on random logits of (batch 8, window 32, vocabulary 126,464); the second, when
all that a method remembers is in use, is timed. Ratios refer to two things timed in the same run: a plain
implementation of confidence order (softmax in float64, then topk row by row), and one pass over the logits (their sum).
Time is that of the processor, which other programs do not change; the best of a few runs counts.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from samplers import scheduler_class, scheduler_names

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def milliseconds(call: Callable[[], object], repeats: int) -> float:
    """Processor time of one call, the best of `repeats`."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return 1000 * best


def plain_step(logits: Tensor, sample: Tensor, mask_token_id: int, k: int = 1) -> Tensor:
    """Confidence order as most repositories write it: softmax in float64, one topk per row."""
    probabilities = logits.double().softmax(dim=-1)
    tokens = logits.argmax(dim=-1)
    confidence = probabilities.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    confidence = confidence.masked_fill(sample != mask_token_id, -torch.inf)
    result = sample.clone()
    for row in range(len(sample)):
        chosen = confidence[row].topk(k).indices
        result[row, chosen] = tokens[row, chosen]
    return result


def step_time(name: str, logits: tuple[Tensor, Tensor], sample: Tensor, mask_token_id: int, repeats: int) -> float:
    """Milliseconds of a scheduler's second step on a window."""
    best = float("inf")
    for _ in range(repeats):
        scheduler = scheduler_class(name)()
        scheduler.set_timesteps(block_length=sample.shape[1])
        shadows: list[dict[str, Any]] = [
            {"shadow_output": values} if scheduler.wants.shadow_logits else {} for values in reversed(logits)
        ]
        first = scheduler.step(logits[0], 0, sample, mask_token_id=mask_token_id, **shadows[0])
        start = time.process_time()
        scheduler.step(logits[1], 1, first.prev_sample, mask_token_id=mask_token_id, **shadows[1])
        best = min(best, time.process_time() - start)
    return 1000 * best


def main() -> None:
    """Print one table per dtype."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("schedulers", nargs="*", metavar="SCHEDULER", help="short names; all by default")
    parser.add_argument("--shape", type=int, nargs=3, default=(8, 32, 126_464), metavar=("BATCH", "WINDOW", "VOCAB"))
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    batch, window, vocab_size = arguments.shape
    mask_token_id = vocab_size - 128
    generator = torch.Generator().manual_seed(0)
    base = [2 * torch.randn(batch, window, vocab_size, generator=generator) for _ in range(2)]
    sample = torch.full((batch, window), mask_token_id)
    for label, dtype in DTYPES.items():
        logits = (base[0].to(dtype), base[1].to(dtype))
        one_pass = milliseconds(lambda logits=logits: logits[0].sum(), arguments.repeats)
        plain = milliseconds(lambda logits=logits: plain_step(logits[0], sample, mask_token_id), arguments.repeats)
        print(f"{label}, {batch} x {window} x {vocab_size:,}: plain float64 {plain:.0f} ms, one pass {one_pass:.1f} ms")
        print(f"{'scheduler':22}{'ms':>8}{'of plain':>11}{'passes':>9}")
        for name in arguments.schedulers or scheduler_names():
            found = step_time(name, logits, sample, mask_token_id, arguments.repeats)
            print(f"{name:22}{found:>8.0f}{found / plain:>11.3f}{found / one_pass:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
