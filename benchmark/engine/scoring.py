"""Scores the samples of a run with the metric of this installation."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from threading import Lock
from typing import Any

from benchmark.models.interface import Sample
from benchmark.protocol.questions import Row
from hub_dataset.parts import METRIC


def is_text(reference: str) -> bool:
    """Whether answers to a question with this reference are sentences, scored by programs of others."""
    from hub_dataset.generators import TEXT_SCORERS

    return json.loads(reference).get("scorer") in TEXT_SCORERS


class Scorer:
    """The metric, loaded when it is first needed, and used by one thread at a time."""

    def __init__(self) -> None:
        self._using = Lock()
        self._metric: Any = None

    def prepare(self, task: str, references: Sequence[str]) -> None:
        """Start and load what scoring answers to a task's references takes, so that what is missing is said at once.

        Raises:
            ValueError: a reference is malformed.
            OSError: something is not installed or cannot be reached.
        """
        with self._using:
            try:
                self._load().prepare(references)
            except ValueError as error:
                raise ValueError(f"{task}: {error}") from None

    def check(self, task: str, references: Sequence[str]) -> None:
        """Read a task's references, those of text left out, which takes more than reading.

        Raises:
            ValueError: one is malformed.
        """
        self.prepare(task, [reference for reference in references if not is_text(reference)])

    def score(self, rows: Sequence[Row], samples: Sequence[Sample]) -> tuple[list[Sample], dict[str, str]]:
        """Samples with their scores, and the signatures of what gave those of text."""
        with self._using:
            result = self._load().compute(
                predictions=[sample["prediction"] for sample in samples],
                references=[row["reference"] for row in rows],
                per_sample=True,
            )
        scored: list[Sample] = [
            {**sample, "scores": {key: value for key, value in scores.items() if isinstance(value, float)}}
            for sample, scores in zip(samples, result["samples"], strict=True)
        ]
        return scored, result.get("signatures", {})

    def _load(self) -> Any:
        if self._metric is None:
            self._metric = load_metric()
        return self._metric


@cache
def metric_version() -> str:
    """What tells the metric of this installation from others: a hash of its source."""
    digest = hashlib.sha256()
    for path in sorted(METRIC.glob("*.py")):
        digest.update(path.name.encode() + b"\n" + path.read_bytes())
    return digest.hexdigest()[:12]


def load_metric() -> Any:
    """The metric of this installation, through `evaluate`."""
    directory = _evaluate_cache()
    import evaluate

    return evaluate.load(str(METRIC), cache_dir=directory)


@cache
def _evaluate_cache() -> str:
    """A directory for the files of `evaluate`, removed when this process ends; made before `evaluate` is imported.

    `evaluate` imports a copy of the metric that it makes once, in the home directory. A copy that a kill cut short
    would stay broken, and not every home can be written, so every process makes its own.
    """
    directory = tempfile.mkdtemp(prefix="parallelbench-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    if "evaluate" not in sys.modules:
        name = "HF_MODULES_CACHE"
        before = os.environ.get(name)
        os.environ[name] = directory
        try:
            # It reads the environment once, when it is imported.
            import evaluate  # noqa: F401
        finally:
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before
    return directory
