"""How much faster two GPUs are than one: `python tests/speed/two_gpus.py` (some three minutes, 16 GB on disk).

Random weights in the shape of LLaDA-8B and in bfloat16, decoded by `parallelbench run` with a worker on one GPU, then
with one on each of two. Printed are states per second while all workers decode: loading, compiling and the first fifth
of the states are left out, waiting for the last worker is not. `--rehearse` shows on a CPU that all of it runs.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[up]) for up in (1, 2)]

import torch
from gpu_models import environment, save_large, save_small

METHODS = [f"confidence:k={k}" for k in (2, 4, 8)]
TASKS = tuple(f"waiting_line_{name}" for name in ("copy", "reverse", "shuffle", "sort"))
#: Of the states, those at the beginning that are not timed.
LEFT_OUT = 0.2


def run(arguments: Any) -> None:
    """One run, in this process; prints its states per second."""
    import benchmark.cli.run
    from benchmark.cli import main
    from benchmark.loggers.terminal import RunProgress

    began = time.monotonic()
    seen: list[tuple[float, int]] = []
    original = RunProgress.states_done

    def counted(self: RunProgress, job: Any, states: int, passes: int) -> None:
        seen.append((time.monotonic(), states))
        original(self, job, states, passes)

    RunProgress.states_done = counted  # type: ignore[method-assign]
    # A report takes packages that a machine with GPUs may lack.
    benchmark.cli.run.show_report = lambda *given, **named: None
    placement = "--workers" if arguments.rehearse else "--gpus"
    command = ["run", "--model", str(arguments.model), placement, str(arguments.on), "--output", str(arguments.output)]
    command += ["--allow-unanswerable", "--max-new-tokens", "32", "--samples", str(arguments.questions)]
    for name, values in (("--task", TASKS), ("--scheduler", METHODS)):
        command += [part for value in values for part in (name, value)]
    main(command, standalone_mode=False)
    done, total, first = 0, sum(states for _, states in seen), None
    for moment, states in seen:
        done += states
        if first is None and done >= LEFT_OUT * total:
            first = moment, done
    assert first is not None
    seconds = seen[-1][0] - first[0]
    print(f"RATE {(total - first[1]) / seconds} {total} {time.monotonic() - began}", flush=True)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--questions",
        type=int,
        default=100,
        help="of each task; the fewer there are, the less full are the batches of a worker",
    )
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, with a tiny model")
    parser.add_argument("--on", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.on:
        run(arguments)
        return
    print("the CPU" if arguments.rehearse else f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}")
    with tempfile.TemporaryDirectory() as folder:
        model = (save_small if arguments.rehearse else save_large)(Path(folder, "model"))
        rates = []
        for count in (1, 2):
            command = [sys.executable, __file__, "--on", str(count), "--questions", str(arguments.questions)]
            command += ["--model", str(model), "--output", str(Path(folder, f"on-{count}", "run"))]
            command += ["--rehearse"] if arguments.rehearse else []
            done = subprocess.run(command, capture_output=True, text=True, env=environment(Path(folder)))
            lines = [line for line in done.stdout.splitlines() if line.startswith("RATE ")]
            if done.returncode or not lines:
                raise SystemExit(f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
            rate, states, seconds = map(float, lines[0].split()[1:])
            rates.append(rate)
            print(f"{count}: {rate:,.1f} states/s, {states:,.0f} states, {seconds:.0f} s for the command", flush=True)
    print(f"two over one: {rates[1] / rates[0]:.2f}")


if __name__ == "__main__":
    main()
