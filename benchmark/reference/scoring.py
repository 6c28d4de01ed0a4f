"""Scores of predictions: by model, task and setting, from the metric."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cell:
    """What one model reaches on one task under one setting.

    Attributes:
        score: the headline in percent; None where the metric has none (text without a grammar checker).
        parts: the metric's other averages, in percent.
        tokens_per_step: mean over the rows.
        rows: how many there were.
    """

    score: float | None
    parts: Mapping[str, float]
    tokens_per_step: float
    rows: int


Scores = dict[str, dict[str, dict[str, Cell]]]


def score_predictions(records: Iterable[Mapping[str, Any]]) -> Scores:
    """Model → task → label of the setting → its scores.

    Text is scored with grammar where `PARALLELBENCH_LANGUAGETOOL_URL` names a server, and without it elsewhere.
    """
    import os

    from hub_dataset import build_rows
    from hub_dataset.grammar import URL_VARIABLE

    from ..runner import load_metric

    metric = load_metric()
    grammar: dict[str, Any] = {} if os.environ.get(URL_VARIABLE) else {"grammar": None}
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for record in records:
        groups[record["model"], record["task"], record["setting"]].append(record)
    references: dict[str, dict[str, str]] = {}
    scores: Scores = {}
    for (model, task, setting), group in groups.items():
        if task not in references:
            references[task] = {row["id"]: row["reference"] for row in build_rows(task)}
        verdicts = {"grammar": [None] * len(group)} if "grammar" in grammar else {}
        found = metric.compute(
            predictions=[record["prediction"] for record in group],
            references=[references[task][record["id"]] for record in group],
            **verdicts,
        )
        averages = {key: value for key, value in found.items() if isinstance(value, float)}
        speeds = [record["num_tokens"] / record["num_forward_passes"] for record in group]
        cell = Cell(averages.pop("headline", None), averages, sum(speeds) / len(speeds), len(group))
        scores.setdefault(model, {}).setdefault(task, {})[setting] = cell
    return scores
