"""Measures grammar checks by hand: `python tests/speed/grammar_speed.py [URL]`, one at a time and in parallel.

The texts are those of the dataset, each with another number at its end, so that nothing is remembered. With the address
of a running LanguageTool server that one is measured; else one is started, as the metric does it (`LTP_PATH` names the
folder that holds LanguageTool, `JAVA_TOOL_OPTIONS` its memory).
"""

import importlib
import itertools
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXTS = 200
ROUNDS = 3


def main() -> None:
    """Print the time of a start, and milliseconds per check for 1, 2, 4 and 8 threads, the best of three rounds."""
    import evaluate

    sys.path.insert(0, str(ROOT))
    from benchmark.studies.damage_study import TEXTS as KINDS
    from benchmark.studies.damage_study import shipped_texts

    metric = evaluate.load(str(ROOT / "metrics" / "parallelbench"))
    grammar = importlib.import_module(f"{type(metric).__module__.rpartition('.')[0]}.grammar")
    checker = grammar.GrammarChecker(sys.argv[1] if len(sys.argv) > 1 else None, "all")
    start = time.perf_counter()
    checker.prepare()
    print(f"{checker.signature}, {os.cpu_count()} cores; start and first check {time.perf_counter() - start:.1f} s")

    texts = shipped_texts(list(KINDS), None)[:TEXTS]
    rounds = itertools.count()

    def milliseconds(threads: int) -> float:
        grammar.THREADS = threads
        fresh = [f"{text} {next(rounds)}." for text in texts]
        start = time.perf_counter()
        checker.findings(fresh)
        return 1000 * (time.perf_counter() - start) / len(texts)

    for _ in range(2):  # until Java has compiled what is used
        milliseconds(4)
    counts = (1, 2, 4, 8)
    # Round by round, so that what else the machine does meets all of them.
    measured = [[milliseconds(threads) for threads in counts] for _ in range(ROUNDS)]
    best = [min(column) for column in zip(*measured, strict=True)]
    print(f"{'threads':>8}{'ms per check':>14}{'checks/s':>10}{'times faster':>14}")
    for threads, value in zip(counts, best, strict=True):
        print(f"{threads:>8}{value:>14.1f}{1000 / value:>10.0f}{best[0] / value:>14.2f}")
    known = [f"{text} {index}." for index, text in enumerate(texts)]
    checker.findings(known)
    start = time.perf_counter()
    checker.findings(known)
    print(f"asked again: {len(texts) / (time.perf_counter() - start):,.0f} texts/s")


if __name__ == "__main__":
    main()
