"""Scores of predictions: by model, task and setting, from the metric."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hub_dataset.grammar import URL_VARIABLE, grammar_checker


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

    Of open-ended text only the grammar is judged. It takes a server that `PARALLELBENCH_LANGUAGETOOL_URL` names;
    without one such a task has no scores, and sentences with given words have all but those of grammar.
    """
    from benchmark.engine.runner import load_metric
    from hub_dataset import build_rows, task_info

    metric = load_metric()
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for record in records:
        groups[record["model"], record["task"], record["setting"]].append(record)
    references: dict[str, dict[str, str]] = {}
    scores: Scores = {}
    for (model, task, setting), group in groups.items():
        texts = [record["prediction"] for record in group]
        kind = task_info(task).task_type
        if kind.open_ended:
            averages = _grammar(texts)
        else:
            if task not in references:
                references[task] = {row["id"]: row["reference"] for row in build_rows(task)}
            no_verdicts = {"grammar": [None] * len(group)} if kind.is_text and not _has_checker() else {}
            found = metric.compute(
                predictions=texts, references=[references[task][record["id"]] for record in group], **no_verdicts
            )
            averages = {key: value for key, value in found.items() if isinstance(value, float)}
        speeds = [record["num_tokens"] / record["num_forward_passes"] for record in group]
        cell = Cell(averages.pop("headline", None), averages, sum(speeds) / len(speeds), len(group))
        scores.setdefault(model, {}).setdefault(task, {})[setting] = cell
    return scores


def _has_checker() -> bool:
    return bool(os.environ.get(URL_VARIABLE))


def _grammar(texts: list[str]) -> dict[str, float]:
    if not _has_checker():
        return {}
    share = sum(not found for found in grammar_checker().findings(texts)) / len(texts)
    return {"headline": 100 * share, "grammar": 100 * share}
