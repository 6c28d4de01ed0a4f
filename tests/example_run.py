"""A made-up run on disk, small or as large as a default one, for the tests of results and reports."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.store.runs import RunStore

_WAITING_LINES = ("copy", "reverse", "sort", "shuffle", "insert_index", "insert_random", "remove_index")
_MORE_WAITING_LINES = ("remove_random", "replace_index", "replace_random")
TASKS = [
    *(f"waiting_line_{name}" for name in (*_WAITING_LINES, *_MORE_WAITING_LINES)),
    "puzzle_latin_square_n4",
    "puzzle_sudoku_n4_12",
]
TOP_K = ("random", "left_to_right", "confidence", "margin", "entropy", "rcr", "remdm")


def scheduler(name: str, parameter: str, value: float, block_length: int | None = None, **more: Any) -> dict[str, Any]:
    """One entry of a run's schedulers."""
    parameters = {parameter: value, **more}
    inside = ", ".join(f"{key}={value}" for key, value in parameters.items())
    if block_length is not None and name != "left_to_right":
        inside += f", block_length={block_length}"
    return {
        "name": name,
        "label": f"{name}({inside})",
        "class": f"{name.title()}Scheduler",
        "parameters": parameters,
        "block_length": block_length,
    }


def default_schedulers() -> list[dict[str, Any]]:
    """The 53 settings of the protocol."""
    top_k = [
        scheduler(name, "k", k, k if name == "left_to_right" else None) for name in TOP_K for k in (1, 2, 4, 8, 16, 32)
    ]
    thresholds = [scheduler("threshold", "threshold", value) for value in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)]
    factors = [scheduler("factor", "factor", value) for value in (0.7, 1.0, 1.3, 1.6, 1.9)]
    return [*top_k, *thresholds, *factors]


def sample_rows(
    task: str, scores: Iterable[float], num_forward_passes: int | Iterable[int] = 8, strict: bool = True
) -> list[dict[str, Any]]:
    """Rows with the given scores (0..1) and forward passes, 32 tokens each."""
    scores = list(scores)
    passes = [num_forward_passes] * len(scores) if isinstance(num_forward_passes, int) else list(num_forward_passes)
    return [
        {
            "id": f"{task}-test-{number:04d}",
            "prediction": '["Ada Stone", "Grace Field"]',
            "num_forward_passes": steps,
            "num_tokens": 32,
            "tokens_per_step": 32 / steps,
            "length": 3,
            "scores": {"score": score, "headline": score, **({"score_strict": score} if strict else {})},
        }
        for number, (score, steps) in enumerate(zip(scores, passes, strict=True))
    ]


def write_run(
    directory: Path,
    schedulers: list[dict[str, Any]],
    tasks: list[str],
    models: tuple[str, ...] = ("ideal",),
    samples: int = 20,
) -> RunStore:
    """A run whose scores fall with speed, the same for the same arguments."""
    generator = np.random.default_rng(0)
    store = RunStore(directory)
    with store.lock():
        store.write_settings({"format": 1, "models": list(models), "tasks": tasks, "schedulers": schedulers, "seed": 0})
        for model in models:
            for number, task in enumerate(tasks):
                for entry in schedulers:
                    if task not in entry.get("tasks", tasks):
                        continue
                    parameters = entry["parameters"]
                    if "k" in parameters:
                        passes = np.full(samples, max(1, 32 // parameters["k"]))
                    else:
                        value = parameters.get("threshold", 0) or 1.1 - parameters.get("factor", 1) / 4
                        passes = generator.integers(2, 4 + int(24 * value), samples)
                    right = generator.random(samples) < np.exp(-0.01 * (number % 5) * 32 / passes)
                    rows = sample_rows(task, map(float, right), map(int, passes))
                    store.write_samples(model, task, entry["label"], rows)
    return store
