"""Runs the grid `methods`, and writes the tables and the picture of the page that compares them.

    python tests/speed/methods_compared.py run DIRECTORY --device cuda --processes 16 --limit 330
    python tests/speed/methods_compared.py collect DIRECTORY     # DIRECTORY/numbers.json, of what is there
    python tests/speed/methods_compared.py write DIRECTORY/numbers.json

`run` decodes every task under every method with both models, a process for each task and model, and then collects. It
goes on where it was stopped; after `--limit` seconds every process writes down what it has, which takes half a minute
at most. `write` copies the numbers to `docs/assets`, draws the picture, and writes what stands between the marks of
`docs/methods_compared.md`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]
MODELS = ("reference", "ideal:reference")


def run(options: argparse.Namespace) -> None:
    """Fill the directory, some processes at a time, and collect."""
    from benchmark.protocol.grids import read_grid
    from benchmark.protocol.tasks import Catalogue

    catalogue = Catalogue()
    known = dict.fromkeys(task for group in read_grid("methods").groups for task in catalogue.resolve(group.tasks))
    tasks = [task for task in known if not options.tasks or task in options.tasks]
    options.directory.mkdir(parents=True, exist_ok=True)
    # Most of the puzzle's and the reference model's answers take long; what takes long goes first.
    waiting = deque((model, task) for model in options.models for task in reversed(tasks))
    ends = time.monotonic() + options.limit
    running: list[tuple[str, subprocess.Popen[bytes]]] = []
    failed = False
    while waiting or running:
        while waiting and len(running) < options.processes:
            model, task = waiting.popleft()
            command = [sys.executable, __file__, "part", str(options.directory), model, task]
            command += ["--samples", str(options.samples), "--ends-in", str(max(ends - time.monotonic(), 1))]
            command += ["--device", options.device] if options.device else []
            running.append((f"{model} {task}", subprocess.Popen(command)))
        time.sleep(0.2)
        for name, process in running:
            if process.poll() is not None:
                print(f"{options.limit - (ends - time.monotonic()):6.0f} s  {name}: {process.returncode}", flush=True)
                failed |= process.returncode != 0
        running = [(name, process) for name, process in running if process.poll() is None]
    collect(options)
    if failed:
        raise SystemExit("not all could be run; the same command goes on")


def part(options: argparse.Namespace) -> None:
    """One model on one task, as far as time allows; its numbers are written in any case."""
    import threading

    import click
    import torch
    from rich.console import Console

    from benchmark.cli.run import RunOptions, run_into_store

    torch.set_num_threads(1)
    place = options.directory / f"{options.model.replace(':', '_')}-{options.task}"
    asked = RunOptions(
        models=(options.model,),
        tasks=(options.task,),
        grid="methods",
        samples=options.samples,
        output=place,
        device=options.device,
        dtype="float32" if options.model == "reference" else None,
    )
    clock = threading.Timer(options.ends_in, _interrupt)
    clock.daemon = True
    clock.start()
    try:
        run_into_store(asked, Console(quiet=True))
    except (KeyboardInterrupt, click.exceptions.Abort):
        print(f"{place.name}: out of time", flush=True)
    finally:
        clock.cancel()
    numbers = numbers_of(place)
    _write(options.directory / f"{place.name}.json", json.dumps(numbers))


def _interrupt() -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGINT)


def numbers_of(directory: Path) -> dict[str, Any]:
    """What the page needs of a run of one model on one task."""
    from benchmark.analysis.summary import summarise
    from benchmark.reading import load_samples
    from benchmark.store.runs import RunStore

    summary = summarise(RunStore(directory))
    (model,), (task,) = summary.models, summary.tasks
    rows = load_samples(directory)
    # An answer may be empty: its end token is the first.
    content = (rows["num_answer_tokens"] / rows["num_rounds"]).groupby(rows["method"]).mean()
    points = {
        str(method): [
            round(point.headline, 2),
            round(point.tokens_per_step, 3),
            round(point.num_rounds, 2),
            round(point.num_forward_passes, 2),
            round(float(content[str(method)]), 3),
            None if point.item_tokens_per_step is None else round(point.item_tokens_per_step, 3),
        ]
        for method, point in summary.present(model, task).items()
    }
    oracles = {name: [round(o.headline, 2), round(o.tokens_per_step, 3)] for (_, _, name), o in summary.oracles.items()}
    return {
        "model": model,
        "task": task,
        "samples": max((point.samples for point in summary.points.values()), default=0),
        "expected": len(summary.keys),
        "curves": {curve.name: [curve.adaptive, [str(m) for m in curve.methods]] for curve in summary.curves},
        "points": points,
        "oracles": oracles,
        "closed_forms": _closed_forms(summary, task) if model.startswith("ideal") else [],
    }


def _closed_forms(summary: Any, task: str) -> list[Any]:
    """[order, [[k, items per step, accuracy], …]] of the task's questions, greedy where that differs."""
    from benchmark.analysis.closed_forms import closed_forms

    found = {}
    for order in ("random", "left_to_right", "confidence"):
        for form in closed_forms(task, summary.lengths.get(task, []), order):
            # The greedy form comes last where there is one.
            found[order] = [[round(number, 3) for number in point] for point in form.points if point[0] <= 8]
    return list(found.items())


def collect(options: argparse.Namespace) -> None:
    """Put the numbers of all parts together."""
    parts = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(options.directory.glob("*-*.json"))]
    if not parts:
        raise SystemExit(f"{options.directory} holds no numbers; run first")
    _write(options.directory / "numbers.json", json.dumps(parts, separators=(",", ":")) + "\n")
    print(f"{sum(len(one['points']) for one in parts)} of {sum(one['expected'] for one in parts)} settings are there")


def write(options: argparse.Namespace) -> None:
    """The page's tables and picture."""
    from methods_compared_page import write_page

    write_page(json.loads(options.numbers.read_text(encoding="utf-8")), ROOT / "docs")


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, call in (("run", run), ("part", part), ("collect", collect)):
        command = commands.add_parser(name)
        command.add_argument("directory", type=Path)
        command.add_argument("--samples", type=int, default=100)
        command.add_argument("--device")
        command.set_defaults(call=call)
        if name == "run":
            command.add_argument("--models", nargs="*", default=MODELS)
            command.add_argument("--tasks", nargs="*", default=[])
            command.add_argument("--processes", type=int, default=1)
            command.add_argument("--limit", type=float, default=1e9)
        if name == "part":
            command.add_argument("model")
            command.add_argument("task")
            command.add_argument("--ends-in", type=float, default=1e9)
    page = commands.add_parser("write")
    page.add_argument("numbers", type=Path)
    page.set_defaults(call=write)
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    main()
