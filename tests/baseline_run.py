"""A run on disk with models of every kind: one with schedulers, autoregressive ones, and a service."""

from pathlib import Path
from typing import Any

from example_run import run_settings, sample_rows

from benchmark.protocol.method import Method
from benchmark.protocol.settings import group_methods, settings_groups
from benchmark.store.runs import RunStore

TASKS = ["waiting_line_copy", "waiting_line_shuffle"]
DIFFUSION, SMALL, LARGE, SERVICE = "org/diffusion", "ar:org/small", "ar:org/large", "api:cloud@https://cloud.test/v1"
CONFIDENCE = [Method.of("confidence", {"k": k}, None, cache) for cache in (None, "dual") for k in (1, 2)]
AUTOREGRESSIVE, SERVED = Method("autoregressive"), Method("served")
#: Model → task → how many of ten answers are right, by the method's place.
RIGHT = {DIFFUSION: [[8, 6, 7, 5], [4, 2, 3, 1]], SMALL: [[7], [3]], LARGE: [[9], [6]], SERVICE: [[10], [6]]}
#: Tokens per second of an answer.
SPEEDS = {DIFFUSION: [10.0, 20.0, 15.0, 30.0], SMALL: [40.0], LARGE: [25.0], SERVICE: [120.0]}


def write_baseline_run(directory: Path) -> RunStore:
    """The run."""
    store = RunStore(directory)
    methods = {DIFFUSION: CONFIDENCE, SMALL: [AUTOREGRESSIVE], LARGE: [AUTOREGRESSIVE], SERVICE: [SERVED]}
    settings = run_settings([*CONFIDENCE, AUTOREGRESSIVE, SERVED], TASKS, list(methods))
    groups = [group for model, own in methods.items() for group in group_methods([model], dict.fromkeys(TASKS, own))]
    settings["groups"] = [group.as_dict() for group in groups]
    assert settings_groups(settings) == groups
    with store.lock():
        store.write_settings(settings)
        for model, own in methods.items():
            for number, task in enumerate(TASKS):
                for place, method in enumerate(own):
                    right = RIGHT[model][number][place]
                    rows = sample_rows(task, [1.0] * right + [0.0] * (10 - right), _passes(method))
                    for row in rows:
                        row["num_answer_tokens"] = 20
                        _adapt(row, method, SPEEDS[model][place])
                    store.write_samples(model, task, method, rows)
    return store


def _passes(method: Method) -> int:
    return 32 // int(method.parameters.get("k", 1))


def _adapt(row: dict[str, Any], method: Method, speed: float) -> None:
    """Of a service nobody knows the forward passes; it has a clock for each answer."""
    if method is not SERVED:
        row["seconds"] = 20 / speed
    else:
        row |= {"num_forward_passes": None, "tokens_per_step": None}
        row |= {"seconds_to_first_token": 0.25, "seconds_to_last_token": 20 / speed}
