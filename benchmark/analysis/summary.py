"""Everything that a report says about one run, or several read as one, computed from the samples on disk."""

from dataclasses import dataclass, field
from itertools import groupby
from typing import Any
from zlib import crc32

import numpy as np

from benchmark.analysis.closed_forms import item_tokens_per_step
from benchmark.analysis.columns import Samples, load_samples
from benchmark.analysis.curves import Curve, group_curves
from benchmark.analysis.statistics import (
    FloatArray,
    bootstrap_means,
    largest_tokens_per_step,
    oracle,
    order_preference,
    parallelizability,
    percentile_interval,
)
from benchmark.protocol.method import BLOCK_LENGTH, Method
from benchmark.protocol.settings import Key, model_names, settings_groups, settings_keys
from benchmark.store.merging import MergedRuns
from benchmark.store.runs import RunStore

PB_SCORES = (80, 75, 70)
# Tokens per step of the methods over which the order preference is taken.
_ORDER_K = 2


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a trade-off curve, means over samples; scores are percentages with a 95 % bootstrap interval.

    `headline` is what is plotted, the lenient score and for text the grammar. `scores` has all that the metric gave, by
    the names that it gave them, each the mean over the samples that have it, and nothing for means over tasks.
    `item_tokens_per_step` is that of `benchmark.analysis.closed_forms`; means over tasks have none.
    """

    headline: float
    low: float
    high: float
    score_strict: float | None
    tokens_per_step: float
    num_forward_passes: float
    samples: int
    item_tokens_per_step: float | None = None
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def is_of_text(self) -> bool:
        """Whether the answers are text, whose grammar is the headline."""
        return "grammar" in self.scores


@dataclass(frozen=True, slots=True)
class Oracle:
    """Means over samples under the best threshold of each; the headline is a percentage."""

    headline: float
    num_forward_passes: float
    tokens_per_step: float
    samples: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The numbers of one run, or several read as one. What is not on disk is missing from every mapping.

    `keys` are (model, task, method) of all that the run has, on disk or not, in its order; `points` has the same keys.
    `means` has (model, method), only of methods that the model was run with on every task, and finished on all of them.
    `tokens_per_step_at` has (model, curve), only curves of which no such method is missing, and gives for each x of PBx
    tokens per step, or None where the mean over the tasks is always lower. `oracles` and `parallelizability` have
    (model, task, curve), only curves that are complete on the task; `mean_oracles`, the mean of `oracles` over the
    tasks, has (model, curve). `order_preference` has (model, task, scheduler); `measured_by` has, for each of these
    names, the methods that it comes from. `lengths` has task → the length of each of its questions.
    `signatures` has name → what scores of text come from, more than one where not all methods say the same.
    `best_scores` has (model, task) → the best score in percent that is left to a model of which not all right answers
    fit into the new tokens, and `notices` a line each on what models can do in part only.
    """

    settings: dict[str, Any]
    models: list[str]
    tasks: list[str]
    methods: list[Method]
    keys: list[Key]
    curves: list[Curve]
    points: dict[Key, Point] = field(default_factory=dict)
    means: dict[tuple[str, Method], Point] = field(default_factory=dict)
    tokens_per_step_at: dict[tuple[str, str], dict[int, float | None]] = field(default_factory=dict)
    oracles: dict[tuple[str, str, str], Oracle] = field(default_factory=dict)
    mean_oracles: dict[tuple[str, str], Oracle] = field(default_factory=dict)
    parallelizability: dict[tuple[str, str, str], float | None] = field(default_factory=dict)
    order_preference: dict[tuple[str, str, str], float] = field(default_factory=dict)
    measured_by: dict[str, list[Method]] = field(default_factory=dict)
    lengths: dict[str, list[int]] = field(default_factory=dict)
    signatures: dict[str, list[str]] = field(default_factory=dict)
    best_scores: dict[tuple[str, str], float] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    _asked: frozenset[Key] = field(init=False, repr=False)
    _curve_of: dict[Method, Curve] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_asked", frozenset(self.keys))
        object.__setattr__(self, "_curve_of", {method: curve for curve in self.curves for method in curve.methods})

    def best_mean(self, model: str) -> float:
        """The best mean over the tasks that is left to a model, in percent."""
        return sum(self.best_scores.get((model, task), 100.0) for task in self.tasks) / len(self.tasks)

    def on_task(self, curve: Curve, model: str, task: str) -> list[Method]:
        """The methods of a curve that a model is to be run with on a task."""
        return [method for method in curve.methods if (model, task, method) in self._asked]

    def on_every_task(self, curve: Curve, model: str | None = None) -> list[Method]:
        """The methods of a curve that a model (None: any) is to be run with on every task, as a mean needs."""
        models = self.models if model is None else [model]
        return [
            method
            for method in curve.methods
            if any(all((name, task, method) in self._asked for task in self.tasks) for name in models)
        ]

    def present(self, model: str, task: str) -> dict[Method, Point]:
        """The points of a model on a task, in the order of the run."""
        points = {method: self.points.get((model, task, method)) for method in self.methods}
        return {method: point for method, point in points.items() if point is not None}

    def curve_of(self, method: Method) -> Curve:
        """The curve that a method lies on."""
        return self._curve_of[method]


def summarise(store: RunStore | MergedRuns) -> Summary:
    """Read the samples of a run and compute what its report says; what is not on disk, or damaged, is left out.

    Raises:
        ValueError: the directory holds no run, or two runs have different samples of one method.
    """
    settings = store.read_settings()
    seed = settings.get("seed")
    base_seed = seed if isinstance(seed, int) and seed >= 0 else 0
    keys = settings_keys(settings_groups(settings))
    methods = list(dict.fromkeys(method for _, _, method in keys))
    summary = Summary(
        settings=settings,
        models=model_names(settings),
        tasks=list(dict.fromkeys(task for _, task, _ in keys)),
        methods=methods,
        keys=keys,
        curves=group_curves(methods, settings["schedulers"]),
        best_scores={
            (model, task): best
            for model, tasks in settings.get("best_scores", {}).items()
            for task, best in tasks.items()
        },
        notices=list(settings.get("notices", ())),
    )
    wanted: dict[tuple[str, str], list[Method]] = {}
    for model, task, method in keys:
        wanted.setdefault((model, task), []).append(method)
    for model in summary.models:
        # For each method the bootstrap means of every task, from which the interval of their mean is taken.
        resampled: dict[Method, list[FloatArray]] = {method: [] for method in methods}
        for task in summary.tasks:
            loaded = {method: load_samples(store, model, task, method) for method in wanted.get((model, task), [])}
            found = {method: samples for method, samples in loaded.items() if samples is not None}
            _add_lengths(summary, task, found)
            _add_signatures(summary, [store.find_signatures(model, task, method) for method in found])
            _add_points(summary, model, task, found, resampled, base_seed)
            _add_task_statistics(summary, model, task, found)
        _add_means(summary, model, resampled)
    return summary


def _add_lengths(summary: Summary, task: str, found: dict[Method, Samples]) -> None:
    for samples in found.values():
        if task not in summary.lengths and all(isinstance(length, int) and length > 0 for length in samples.lengths):
            summary.lengths[task] = list(samples.lengths)


def _add_signatures(summary: Summary, signatures: list[dict[str, str]]) -> None:
    for name, signature in (item for entry in signatures for item in entry.items()):
        known = summary.signatures.setdefault(name, [])
        if signature not in known:
            known.append(signature)


def _item_tokens_per_step(summary: Summary, method: Method, samples: Samples) -> float | None:
    curve = summary.curve_of(method)
    if curve.parameter != "k" or samples.items is None:
        return None
    return item_tokens_per_step(curve.scheduler, int(method.parameters["k"]), samples.items)


def _add_points(
    summary: Summary,
    model: str,
    task: str,
    found: dict[Method, Samples],
    resampled: dict[Method, list[FloatArray]],
    seed: int,
) -> None:
    # The stream belongs to the task alone, so a task's intervals do not depend on what else was run.
    stream = (seed, crc32(task.encode("utf-8", "surrogatepass")))
    by_size = sorted(found, key=lambda method: len(found[method].ids))
    for _, group in groupby(by_size, key=lambda method: len(found[method].ids)):
        methods = list(group)
        headlines = np.stack([found[method].headline for method in methods], axis=1) * 100
        means = bootstrap_means(headlines, seed=stream)
        low, high = percentile_interval(means)
        for column, method in enumerate(methods):
            samples = found[method]
            strict = samples.score_strict
            resampled[method].append(means[:, column])
            summary.points[model, task, method] = Point(
                headline=float(headlines[:, column].mean()),
                low=float(low[column]),
                high=float(high[column]),
                score_strict=None if strict is None else float(strict.mean()) * 100,
                tokens_per_step=float(samples.tokens_per_step.mean()),
                num_forward_passes=float(samples.num_forward_passes.mean()),
                samples=len(samples.ids),
                item_tokens_per_step=_item_tokens_per_step(summary, method, samples),
                scores=samples.scores,
            )


def _add_means(summary: Summary, model: str, resampled: dict[Method, list[FloatArray]]) -> None:
    """Means over the tasks, each task counting the same, and PBx; only where no task is missing."""
    for method in summary.methods:
        if not summary.tasks or len(resampled[method]) < len(summary.tasks):
            continue
        points = [summary.points[model, task, method] for task in summary.tasks]
        low, high = percentile_interval(np.mean(resampled[method], axis=0)[:, None])
        strict = [point.score_strict for point in points if point.score_strict is not None]
        summary.means[model, method] = Point(
            headline=float(np.mean([point.headline for point in points])),
            low=float(low[0]),
            high=float(high[0]),
            score_strict=float(np.mean(strict)) if len(strict) == len(points) else None,
            tokens_per_step=float(np.mean([point.tokens_per_step for point in points])),
            num_forward_passes=float(np.mean([point.num_forward_passes for point in points])),
            samples=sum(point.samples for point in points),
        )
    for curve in summary.curves:
        means = [summary.means.get((model, method)) for method in summary.on_every_task(curve, model)]
        line = [(point.tokens_per_step, point.headline) for point in means if point is not None]
        if line and len(line) == len(means):
            summary.tokens_per_step_at[model, curve.name] = {
                score: largest_tokens_per_step(line, score, interpolate=curve.adaptive) for score in PB_SCORES
            }
        oracles = [summary.oracles.get((model, task, curve.name)) for task in summary.tasks]
        known = [item for item in oracles if item is not None]
        if known and len(known) == len(oracles):
            summary.mean_oracles[model, curve.name] = Oracle(
                headline=float(np.mean([item.headline for item in known])),
                num_forward_passes=float(np.mean([item.num_forward_passes for item in known])),
                tokens_per_step=float(np.mean([item.tokens_per_step for item in known])),
                samples=sum(item.samples for item in known),
            )


def _add_task_statistics(summary: Summary, model: str, task: str, found: dict[Method, Samples]) -> None:
    for curve in summary.curves:
        methods = summary.on_task(curve, model, task)
        if not methods or any(method not in found for method in methods):
            continue
        key = (model, task, curve.name)
        if curve.parameter == "k":
            headlines = [summary.points[model, task, method].headline for method in methods]
            summary.parallelizability[key] = parallelizability([m.parameters["k"] for m in methods], headlines)
        if curve.parameter == "threshold" and len({found[method].ids for method in methods}) == 1:
            samples = [found[method] for method in methods]
            best, passes, tokens_per_step = oracle(
                np.stack([item.headline for item in samples]),
                np.stack([item.num_forward_passes for item in samples]),
                np.stack([item.num_tokens for item in samples]),
            )
            summary.oracles[key] = Oracle(best * 100, passes, tokens_per_step, len(samples[0].ids))
    _add_order_preference(summary, model, task, found)


def _add_order_preference(summary: Summary, model: str, task: str, found: dict[Method, Samples]) -> None:
    """The slope over block lengths of each scheduler that commits two tokens per step and was run with several."""
    groups: dict[str, dict[Method, float]] = {}
    for curve in summary.curves:
        fixed = [f"{key}={value}" for key, value in curve.fixed if key != BLOCK_LENGTH]
        name = f"{curve.scheduler}({', '.join(fixed)})" if fixed else curve.scheduler
        for method in curve.methods:
            if curve.parameter == "k" and curve.value(method) == _ORDER_K and method in found:
                whole = float(_ORDER_K if curve.block_follows else found[method].num_tokens.mean())
                groups.setdefault(name, {})[method] = float(method.block_length or whole)
    for name, lengths in groups.items():
        headlines = [summary.points[model, task, method].headline for method in lengths]
        slope = order_preference(list(lengths.values()), headlines)
        if slope is not None:
            summary.order_preference[model, task, name] = slope
            known = summary.measured_by.setdefault(name, [])
            known.extend(method for method in lengths if method not in known)
