"""The samples of one method as columns, which is what reports compute with."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.analysis.closed_forms import AnswerTokens
from benchmark.analysis.order import Order, order_of
from benchmark.analysis.statistics import FloatArray
from benchmark.protocol.method import Method
from benchmark.store.merging import MergedRuns
from benchmark.store.runs import RunStore

#: Is told of the rows of a method, by seed, while a report reads them.
Visitor = Callable[[str, str, Method, Mapping[int, list[dict[str, Any]]]], None]


@dataclass(frozen=True, slots=True)
class Samples:
    """What a report needs of the samples of one method; arrays are (samples,), scores 0..1.

    They are in the order of the questions' ids, and those of one question in the order of the seeds. `ids` are
    (question, seed). `scores` is the mean of every score, in percent, over the samples that have it. `failed` counts
    the questions that could not be answered under one of the seeds at least, and are left out. Numbers that a model
    cannot tell are NaN. `shared` says whether seconds are shares of passes that served other settings too.
    """

    ids: tuple[tuple[str, int], ...]
    seeds: int
    failed: int
    headline: FloatArray
    score_strict: FloatArray | None
    scores: dict[str, float]
    tokens_per_step: FloatArray
    num_rounds: FloatArray
    num_forward_passes: FloatArray
    num_tokens: FloatArray
    num_answer_tokens: FloatArray
    seconds: FloatArray
    seconds_to_first_token: FloatArray
    seconds_to_last_token: FloatArray
    lengths: tuple[Any, ...]
    order: Order | None
    items: list[AnswerTokens] | None
    shared: bool = False

    @property
    def content_tokens_per_step(self) -> FloatArray:
        """Tokens before the first end token, per round: what a user gets of the tokens per step."""
        return self.num_answer_tokens / self.num_rounds

    @property
    def tokens_per_forward_pass(self) -> FloatArray:
        """Generated tokens per state of the answer that went through the model, fewer than per round with drafts."""
        return self.num_tokens / self.num_forward_passes

    @property
    def tokens_per_second(self) -> float | None:
        """By each answer's own clock where it has one, else by its share of the time of a batch."""
        for seconds in (self.seconds_to_last_token, self.seconds):
            # Not where it is NaN, either.
            if seconds.sum() > 0:
                speed = float(self.num_answer_tokens.sum() / seconds.sum())
                return None if np.isnan(speed) else speed
        return None

    @property
    def questions(self) -> int:
        """How many questions were answered."""
        return len(self.ids) // self.seeds


def load_samples(
    store: RunStore | MergedRuns, model: str, task: str, method: Method, visit: Visitor | None = None
) -> Samples | None:
    """The samples of one method, or None where those of a seed are absent, cut off or altered, or all failed.

    `visit` is called with what was found, before it is forgotten: model, task, method, and for each seed its rows.
    """
    seeds = store.seeds_of(model, task, method)
    found = [store.find_samples(model, task, method, seed) for seed in seeds]
    if not seeds or any(rows is None for rows in found):
        return None
    if visit is not None:
        visit(model, task, method, dict(zip(seeds, (rows or [] for rows in found), strict=True)))
    by_id = [{row["id"]: row for row in rows or []} for rows in found]
    asked = {name for rows in by_id for name in rows}
    # Only questions that every seed has, in the order of the ids, so that the samples of all methods line up.
    answered = sorted(name for name in asked if all("error" not in rows.get(name, {"error": ""}) for rows in by_id))
    ids = tuple((name, seed) for name in answered for seed in seeds)
    rows = [by_id[number][name] for name in answered for number in range(len(seeds))]
    if not rows:
        return None

    def column(values: Iterable[float | None]) -> FloatArray:
        return np.fromiter((np.nan if value is None else value for value in values), np.float64, count=len(rows))

    strict = [row["scores"].get("score_strict") for row in rows]
    return Samples(
        ids=ids,
        seeds=len(seeds),
        failed=len(asked) - len(answered),
        headline=column(row["scores"]["headline"] for row in rows),
        score_strict=None if any(value is None for value in strict) else column(strict),
        scores=_mean_scores([row["scores"] for row in rows]),
        tokens_per_step=column(row["tokens_per_step"] for row in rows),
        # Runs of an earlier version have one forward pass a round.
        num_rounds=column(row.get("num_rounds", row["num_forward_passes"]) for row in rows),
        num_forward_passes=column(row["num_forward_passes"] for row in rows),
        num_tokens=column(row["num_tokens"] for row in rows),
        num_answer_tokens=column(row.get("num_answer_tokens") for row in rows),
        seconds=column(row.get("seconds") for row in rows),
        seconds_to_first_token=column(row.get("seconds_to_first_token") for row in rows),
        seconds_to_last_token=column(row.get("seconds_to_last_token") for row in rows),
        # Of questions, not of samples.
        order=order_of(rows),
        lengths=tuple(row.get("length") for row in rows[:: len(seeds)]),
        items=_answer_tokens(rows),
        shared=any(row.get("shared", False) for row in rows),
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
