"""Measures the page of large runs: `python tests/speed/page_speed.py [--run paper many] [--samples 4] [--keep FOLDER]`.

`paper` is the paper's grid of one model, 2,823 settings; `many` is 20 models, 22 methods, 17 tasks: 7,480 settings.
Their answers are made up, a few to real questions each; what reads them and makes the page is what makes every report.
Then the installed Chromium opens the page from the disk, some times, and the median counts: to the load event, from a
jump to the curves until the first plot is drawn, and from a click on another x axis until it is drawn anew. The main
thread's own time until the load event is what other programs do not change.

Wanted: two seconds to open, and at most 5 MB beside the samples.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[number]) for number in (2, 1)]

import numpy as np
from browser import Opened, chromium
from example_run import run_settings
from page_runs import decoded_rows, write_page

from benchmark.protocol.grids import expand_grid, read_grid
from benchmark.protocol.method import Method, expand
from benchmark.protocol.questions import load_rows, question_checksum
from benchmark.store.runs import RunStore
from hub_dataset.unavailable import UnavailableError
from samplers import scheduler_names

MODELS, METHODS = 20, 22


def paper() -> tuple[list[str], dict[str, Sequence[Method]]]:
    """The model, and task → methods."""
    groups = [part.group for part in expand_grid(read_grid("paper"), lambda model: None)]
    return [groups[0].models[0]], {task: group.methods for group in groups for task in group.tasks}


def many() -> tuple[list[str], dict[str, Sequence[Method]]]:
    """Models with one setting of each method."""
    found = [expand(name, 32) for name in scheduler_names()[:METHODS]]
    methods = [each[len(each) // 2] for each in found]
    return [f"owner/model-{number}" for number in range(MODELS)], dict.fromkeys(paper()[1], methods)


def questions(task: str, samples: int) -> list[dict[str, Any]]:
    """What the answers to some questions say of them; of text, only where there is a grammar checker."""
    try:
        rows = load_rows(task, samples)
    except UnavailableError:
        return [{} for _ in range(samples)]
    return [{"id": row["id"], "question_checksum": question_checksum(row), "length": row["length"]} for row in rows]


def write_run(
    directory: Path, models: Sequence[str], methods: Mapping[str, Sequence[Method]], samples: int
) -> RunStore:
    """A run of these settings, each with so many answers to the first questions of its task."""
    generator = np.random.default_rng(0)
    store = RunStore(directory)
    with store.lock():
        store.write_settings(run_settings(methods, list(methods), models))
        for task, of_task in methods.items():
            asked = questions(task, samples)
            for model in models:
                for each in of_task:
                    right = (generator.random(len(asked)) < 0.7).astype(float).tolist()
                    rounds = generator.integers(1, 33, len(asked)).tolist()
                    rows = decoded_rows(task, right, rounds)
                    store.write_samples(
                        model, task, each, [row | about for row, about in zip(rows, asked, strict=True)]
                    )
    return store


def opened(browser: Any, path: Path) -> dict[str, float]:
    """Milliseconds of one opening."""
    shown = Opened(browser, viewport={"width": 1600, "height": 900})
    page = shown.page
    own = page.context.new_cdp_session(page)
    own.send("Performance.enable", {"timeDomain": "threadTicks"})
    shown.open(path)
    thread = {entry["name"]: 1000 * entry["value"] for entry in own.send("Performance.getMetrics")["metrics"]}
    load = page.evaluate("() => performance.getEntriesByType('navigation')[0].loadEventEnd")
    script = """async (change) => {
        const place = document.querySelector("#mean-plot"), began = performance.now();
        change();
        while (!place.drawn && performance.now() - began < 20000) await new Promise(requestAnimationFrame);
        return performance.now() - began;
    }"""
    drawn = page.evaluate(f"() => ({script})(() => location.assign('#curves'))")
    change = "document.querySelectorAll('#axes input')[1].click()"
    again = page.evaluate(f"() => ({script})(() => {change})")
    if shown.said:
        print(shown.said[:3])
    shown.close()
    return {"main thread": thread["TaskDuration"], "load event": load, "first plot": drawn, "another x axis": again}


def size_without_samples(path: Path) -> tuple[int, int]:
    """Bytes of a page, and of what its samples take of them."""
    text = path.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, flags=re.DOTALL)
    assert found is not None
    samples = json.dumps(json.loads(found.group(1))["samples"], separators=(",", ":"))
    return path.stat().st_size, len(samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", nargs="+", choices=["paper", "many"], default=["paper", "many"])
    parser.add_argument("--samples", type=int, default=4, help="answers of each setting")
    parser.add_argument("--rounds", type=int, default=5, help="openings of each page")
    parser.add_argument("--keep", type=Path, help="where the runs are kept, and found again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.run:
            directory = (options.keep or Path(folder)) / name
            models, methods = paper() if name == "paper" else many()
            if not (directory / "settings.json").is_file():
                write_run(directory, models, methods, options.samples)
            began = time.perf_counter()
            path = write_page(RunStore(directory))
            seconds = time.perf_counter() - began
            size, samples = size_without_samples(path)
            settings = len(models) * sum(map(len, methods.values()))
            print(f"{name}: {settings} settings, report in {seconds:.1f} s, without plots")
            print(f"  {size / 1e6:.2f} MB, {samples / 1e6:.2f} MB of them samples")
            with chromium() as browser:
                found = [opened(browser, path) for _ in range(options.rounds)]
            for what in found[0]:
                print(f"  {what}: {statistics.median(each[what] for each in found):.0f} ms")


if __name__ == "__main__":
    main()
