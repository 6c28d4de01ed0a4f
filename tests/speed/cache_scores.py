"""Prints what approximate caches cost in score: `python tests/speed/cache_scores.py DIRECTORY` (some minutes on a CPU).

The reference model answers a few questions of some tasks, 64 tokens in blocks, with the keys that are exact and with
the prefix and dual cache of Fast-dLLM (arXiv 2505.22618), whose keys are those of the first step in each block. Printed
are the scores, as a table in Markdown.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

TASKS = ("waiting_line_copy", "waiting_line_shuffle", "waiting_line_sort", "puzzle_latin_square_n4")
CACHES = ("none", "prefix", "dual")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="where the results go")
    parser.add_argument("--model", default="reference")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--tasks", nargs="*", default=TASKS)
    parser.add_argument("--blocks", type=int, nargs="*", default=(8, 16, 32))
    parser.add_argument("--tokens", type=int, nargs="*", default=(1, 4), help="per step")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()

    from benchmark import run

    print("| block | tokens a step | cache |", " | ".join(options.tasks), "| mean |", flush=True)
    print("|---|---|---|" + "---|" * (len(options.tasks) + 1), flush=True)
    for block in options.blocks:
        for tokens in options.tokens:
            for cache in CACHES:
                table: Any = run(
                    model=options.model,
                    tasks=options.tasks,
                    methods=f"confidence:k={tokens},block_length={block},cache={cache}",
                    samples=options.samples,
                    output=options.directory / f"{block}_{tokens}_{cache}",
                    max_new_tokens=64,
                    device=options.device,
                ).set_index("task")
                scores = [float(table.loc[task, "headline"]) for task in options.tasks]
                cells = " | ".join(f"{score:.0f}" for score in [*scores, sum(scores) / len(scores)])
                print(f"| {block} | {tokens} | {cache} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
