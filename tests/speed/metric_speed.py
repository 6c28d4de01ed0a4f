"""Measures the metric by hand: `python tests/speed/metric_speed.py`, predictions per second on one core.

The baseline that ratios refer to is `json.loads` of the same predictions, timed in the same run.
"""

import importlib
import itertools
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = ["Ada Stone", "Grace Field", "Alan Marsh", "Radia Brook", "Tim Hill", "Ken Lake"]
SQUARE = "A,B,C,D\nB,C,D,A\nC,D,A,B\nD,A,B,C"
GRID = "1234\n3412\n2143\n4321"
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "list_match": (json.dumps(PEOPLE), {"answer": json.dumps(PEOPLE)}),
    "list_shuffle": (json.dumps(PEOPLE[::-1]), {"input": PEOPLE}),
    "list_insert": (json.dumps(PEOPLE), {"input": PEOPLE[:2] + PEOPLE[3:], "word": PEOPLE[2]}),
    "list_remove": (json.dumps(PEOPLE[:2] + PEOPLE[3:]), {"input": PEOPLE}),
    "list_replace": (json.dumps([*PEOPLE[:5], "Zoë Vale"], ensure_ascii=False), {"input": PEOPLE, "word": "Zoë Vale"}),
    "latin_square": (SQUARE, {"symbols": list("ABCD")}),
    "sudoku": (GRID, {"answer": GRID}),
    "words_to_sentence": ("The river met the quiet lantern.", {"words": ["river", "lantern", "quiet"]}),
}
SUMMARY = "Ines will visit her father on Saturday and bring him an alarm button."
ANSWER = "On Saturday Ines visits her father, and brings an alarm button with her."


def calls_per_second(call: Callable[[], object], repeats: int = 20_000) -> float:
    """Return how often `call` runs in a second: the best of three rounds of `repeats` calls."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        best = min(best, time.perf_counter() - start)
    return repeats / best


def main() -> None:
    """Print one line per scorer, then the rate of whole `compute` calls of 100 rows."""
    import evaluate

    metric = evaluate.load(str(ROOT / "metrics" / "parallelbench"))
    scorers = importlib.import_module(type(metric).__module__).SCORERS
    print(f"{'':18}{'predictions/s':>15}{'ratio to json.loads':>22}")
    for name, (prediction, values) in CASES.items():
        score = scorers[name].score
        rate = calls_per_second(partial(score, prediction, **values))
        document = json.dumps(prediction)
        baseline = calls_per_second(partial(json.loads, document))
        print(f"{name:18}{rate:>15,.0f}{rate / baseline:>22.2f}")

    similarity = importlib.import_module(f"{type(metric).__module__.rpartition('.')[0]}.similarity")
    for name in ("rouge", "bleu"):
        numbers = itertools.count()
        compare = getattr(similarity, name)
        rate = calls_per_second(
            lambda numbers=numbers, compare=compare: compare(f"{ANSWER} {next(numbers)}", SUMMARY), 500
        )
        print(f"{name:18}{rate:>15,.0f}")

    predictions = [prediction for prediction, _ in CASES.values()] * 13
    references = [json.dumps({"scorer": name, **values}) for name, (_, values) in CASES.items()] * 13
    columns = {"predictions": predictions[:100], "references": references[:100]}
    # What is measured is the metric, not LanguageTool: the verdicts are given.
    options = {"grammar": [True] * 100, "parses": False}

    def compute_from_cache_files() -> None:
        metric.add_batch(**columns)
        metric.compute(**options)

    direct = 100 * calls_per_second(partial(metric.compute, **columns, **options), repeats=100)
    stored = 100 * calls_per_second(compute_from_cache_files, repeats=20)
    print(f"\n{'compute':18}{direct:>15,.0f}{direct / stored:>22.2f} (ratio to add_batch + compute, 100 rows)")


if __name__ == "__main__":
    main()
