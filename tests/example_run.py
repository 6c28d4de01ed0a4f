"""A made-up run on disk, small or as large as a default one, for the tests of results and reports."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.protocol.method import Method, expand
from benchmark.protocol.settings import FORMAT, describe_scheduler, group_methods
from benchmark.store.runs import RunStore
from samplers import protocol_scheduler_names, scheduler_names

_WAITING_LINES = ("copy", "reverse", "sort", "shuffle", "insert_index", "insert_random", "remove_index")
_MORE_WAITING_LINES = ("remove_random", "replace_index", "replace_random")
TASKS = [
    *(f"waiting_line_{name}" for name in (*_WAITING_LINES, *_MORE_WAITING_LINES)),
    "puzzle_latin_square_n4",
    "puzzle_sudoku_n4_12",
]


def method(name: str, parameter: str, value: float, block_length: int | None = None, **more: Any) -> Method:
    """A method of a run."""
    return Method.of(name, {parameter: value, **more}, block_length)


def default_methods() -> list[Method]:
    """The 53 methods of the protocol at 32 new tokens."""
    return [found for name in protocol_scheduler_names() for found in expand(name, 32)]


def run_settings(
    methods: Sequence[Method] | Mapping[str, Sequence[Method]], tasks: Sequence[str], models: Sequence[str], **more: Any
) -> dict[str, Any]:
    """The settings of a run of these methods, or of those of each task, as they are on disk."""
    by_task = methods if isinstance(methods, Mapping) else dict.fromkeys(tasks, methods)
    groups = group_methods(models, {task: list(by_task[task]) for task in tasks})
    names = dict.fromkeys(method.name for of_task in by_task.values() for method in of_task)
    return {
        "format": FORMAT,
        "models": list(models),
        "groups": [group.as_dict() for group in groups],
        "schedulers": {name: _described(name) for name in names},
        "seeds": [0],
        **more,
    }


def _described(name: str) -> dict[str, Any]:
    if name in scheduler_names():
        return describe_scheduler(name)
    # One of a user, whose class is not there any more.
    return {"speed_parameter": "k", "adaptive": False, "blocks_follow_k": False}


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
    methods: Sequence[Method] | Mapping[str, Sequence[Method]],
    tasks: list[str],
    models: tuple[str, ...] = ("ideal",),
    samples: int = 20,
) -> RunStore:
    """A run whose headlines fall with speed, the same for the same arguments."""
    generator = np.random.default_rng(0)
    store = RunStore(directory)
    with store.lock():
        store.write_settings(run_settings(methods, tasks, models))
        for model in models:
            for number, task in enumerate(tasks):
                for each in methods[task] if isinstance(methods, Mapping) else methods:
                    parameters = each.parameters
                    if "k" in parameters:
                        passes = np.full(samples, max(1, 32 // parameters["k"]))
                    else:
                        value = parameters.get("threshold", 0) or 1.1 - parameters.get("factor", 1) / 4
                        passes = generator.integers(2, 4 + int(24 * value), samples)
                    right = generator.random(samples) < np.exp(-0.01 * (number % 5) * 32 / passes)
                    rows = sample_rows(task, map(float, right), map(int, passes))
                    store.write_samples(model, task, each, rows)
    return store
