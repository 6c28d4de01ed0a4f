"""The samples of one method as columns, which is what reports compute with."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.analysis.closed_forms import AnswerTokens
from benchmark.analysis.statistics import FloatArray
from benchmark.protocol.method import Method
from benchmark.store.merging import MergedRuns
from benchmark.store.runs import RunStore


@dataclass(frozen=True, slots=True)
class Samples:
    """What a report needs of the samples of one method; arrays are (samples,), scores 0..1.

    `scores` is the mean of every score, in percent, over the samples that have it.
    """

    ids: tuple[str, ...]
    headline: FloatArray
    score_strict: FloatArray | None
    scores: dict[str, float]
    tokens_per_step: FloatArray
    num_forward_passes: FloatArray
    num_tokens: FloatArray
    lengths: tuple[Any, ...]
    items: list[AnswerTokens] | None


def load_samples(store: RunStore | MergedRuns, model: str, task: str, method: Method) -> Samples | None:
    """The samples of one method in the order of their ids, or None where they are absent, cut off or altered."""
    rows = store.find_samples(model, task, method)
    if rows is None:
        return None
    # In the order of the ids, so that the samples of all methods line up however they were written.
    rows.sort(key=lambda row: row["id"])

    def column(values: Iterable[float]) -> FloatArray:
        return np.fromiter(values, dtype=np.float64, count=len(rows))

    strict = [row["scores"].get("score_strict") for row in rows]
    return Samples(
        ids=tuple(row["id"] for row in rows),
        headline=column(row["scores"]["headline"] for row in rows),
        score_strict=None if any(value is None for value in strict) else column(strict),
        scores=_mean_scores([row["scores"] for row in rows]),
        tokens_per_step=column(row["tokens_per_step"] for row in rows),
        num_forward_passes=column(row["num_forward_passes"] for row in rows),
        num_tokens=column(row["num_tokens"] for row in rows),
        lengths=tuple(row.get("length") for row in rows),
        items=_answer_tokens(rows),
    )


def _mean_scores(samples: list[dict[str, Any]]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for scores in samples:
        for name, value in scores.items():
            values.setdefault(name, []).append(value)
    return {name: 100 * float(np.mean(values[name])) for name in sorted(values)}


def _answer_tokens(rows: list[dict[str, Any]]) -> list[AnswerTokens] | None:
    """None where a run of an earlier version did not count them."""
    counts = [(row["num_tokens"], row.get("num_answer_tokens"), row.get("num_item_tokens")) for row in rows]
    known = [AnswerTokens(window, answer, items) for window, answer, items in counts if answer is not None and items]
    return known if len(known) == len(counts) else None
