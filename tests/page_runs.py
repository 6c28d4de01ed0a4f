"""Made-up runs for the tests of the page: their answers say in which steps they came, and fill all of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from example_run import method, run_settings

from benchmark.protocol.method import Method
from benchmark.report.writing import write_report
from benchmark.store.runs import PAGE, RunStore

MODELS = ("ideal", "reference")
TASKS = ("waiting_line_copy", "waiting_line_shuffle")
METHODS = (
    *(method("random", "k", k) for k in (1, 4, 32)),
    *(method("confidence", "k", k, block) for block in (4, 8, None) for k in (2, 4)),
    *(method("threshold", "threshold", value) for value in (0.5, 0.9, 1.0)),
)
ANSWER = ('["', "Ada", " Stone", '", "', "Grace", " Field", '"]', "<|end|>")
WINDOW = 32


def decoded_rows(task: str, scores: Sequence[float], rounds: Sequence[int], **changes: Any) -> list[dict[str, Any]]:
    """Rows of answers of seven tokens and their end in a window of 32, decoded from left to right in so many rounds."""
    return [
        {
            "id": f"{task}-test-{number:04d}",
            "prediction": "".join(ANSWER[:-1]),
            "length": 4,
            "num_tokens": WINDOW,
            "num_answer_tokens": len(ANSWER) - 1,
            "num_item_tokens": 4,
            "num_rounds": count,
            "num_forward_passes": count,
            "tokens_per_step": WINDOW / count,
            "commit_steps": [1 + place * count // WINDOW for place in range(WINDOW)],
            "tokens": list(ANSWER),
            "seconds": 0.01 * count,
            "scores": {"score": score, "headline": score, "score_strict": score},
            **changes,
        }
        for number, (score, count) in enumerate(zip(scores, rounds, strict=True))
    ]


def made_up_rows(task: str, each: Method, generator: np.random.Generator, samples: int = 10) -> list[dict[str, Any]]:
    """Answers to a task whose quality falls with speed."""
    k = each.parameters.get("k")
    if k:
        rounds = np.full(samples, WINDOW // k)
    else:
        rounds = generator.integers(2, 4 + int(20 * each.parameters.get("threshold", 1.0)), samples)
    right = generator.random(samples) < np.exp(-0.02 * WINDOW / rounds)
    return decoded_rows(task, right.astype(float).tolist(), rounds.tolist())


def write_decoded_run(
    directory: Path,
    methods: Sequence[Method] = METHODS,
    tasks: Sequence[str] = TASKS,
    models: Sequence[str] = MODELS,
    *,
    samples: int = 10,
    **settings: Any,
) -> RunStore:
    """A run of these settings, the same for the same arguments."""
    generator = np.random.default_rng(0)
    store = RunStore(directory)
    with store.lock():
        store.write_settings(run_settings(methods, tasks, models, **settings))
        for model in models:
            for task in tasks:
                for each in methods:
                    store.write_samples(model, task, each, made_up_rows(task, each, generator, samples))
    return store


def write_page(store: RunStore) -> Path:
    """The page of a run, by the code that makes every report, without the pictures beside it."""
    with patch("benchmark.report.writing.write_plots", return_value=[]):
        write_report(store.directory)
    return store.directory / PAGE


def replace_samples(store: RunStore, **changes: Any) -> Mapping[str, Any]:
    """Change the samples of a run's first setting; the first of them, which is wrong, is returned."""
    model, task, each = MODELS[0], TASKS[0], METHODS[0]
    rows = decoded_rows(task, [0.0, 1.0], [4, 4], **changes)
    store.write_samples(model, task, each, rows)
    return rows[0]
