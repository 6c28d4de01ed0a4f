"""Everything that a report says about one run, or several read as one, computed from the samples on disk."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from benchmark.analysis.closed_forms import item_tokens_per_step
from benchmark.analysis.columns import Samples, Visitor, load_samples
from benchmark.analysis.curves import Curve, group_curves
from benchmark.analysis.notices import length_notices
from benchmark.analysis.order import Order, mean_order
from benchmark.analysis.pb_intervals import Ends, pb_interval_ends
from benchmark.analysis.statistics import (
    FloatArray,
    bootstrap_means,
    bootstrap_seed,
    deviation_of_mean,
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
#: What PBx can be the largest of, by the names of a point's numbers.
PB_COUNTS = ("tokens_per_step", "tokens_per_forward_pass", "content_tokens_per_step")
# Tokens per step of the methods over which the order preference is taken.
_ORDER_K = 2


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a trade-off curve, means over samples; scores are percentages with a 95 % bootstrap interval.

    `headline` is what is plotted, the lenient score and for text the grammar. `scores` has all that the metric gave, by
    the names that it gave them, each the mean over the samples that have it, and nothing for means over tasks.
    `item_tokens_per_step` is that of `benchmark.analysis.closed_forms`; means over tasks have none. `tokens_per_step`
    are tokens per round; `num_forward_passes` are more than the rounds where a method looks at several drafts at once.
    With several seeds, the interval is one over questions and seeds, and `seed_deviation` the standard deviation of the
    headline between seeds. Numbers that a model does not tell are NaN. `tokens_per_second` are tokens of an answer
    before its end by the time that it took: of a service from the question to its last token, else its share of the
    time of a batch, and, where `shared`, of passes that served other settings too. `seconds_to_first_token` is known of
    services alone.
    `content_tokens_per_step` counts, per round, only the tokens before the answer's first end token, and
    `tokens_per_forward_pass` every generated token, per state that went through the model. `order` says how far answers
    were committed from left to right; None where their steps are not known.
    """

    headline: float
    low: float
    high: float
    score_strict: float | None
    tokens_per_step: float
    num_rounds: float
    num_forward_passes: float
    samples: int
    item_tokens_per_step: float | None = None
    seeds: int = 1
    seed_deviation: float | None = None
    tokens_per_second: float | None = None
    seconds_to_first_token: float | None = None
    scores: dict[str, float] = field(default_factory=dict)
    content_tokens_per_step: float | None = None
    tokens_per_forward_pass: float | None = None
    order: Order | None = None
    shared: bool = False

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

    `keys` are (model, task, method) of all that the run has, on disk or not, in its order; `points` has the same
    keys. `means` has (model, method), only of methods that the model was run with on every task, and finished on all
    of them. `tokens_per_step_at` has (model, curve), only curves of which no such method is missing, and gives for
    each x of PBx tokens per step, or None where the mean over the tasks is always lower. `largest_at` has the same by
    (model, curve, one of `PB_COUNTS`), and `pb_intervals` the ends of their 95 % intervals. `oracles` and
    `parallelizability` have (model, task, curve), only curves that are complete on the task; `mean_oracles`, the mean
    of `oracles` over the tasks, has (model, curve). `order_preference` has (model, task, scheduler); `measured_by`
    has, for each of these names, the methods that it comes from. `lengths` has task → the length of each of its
    questions. `signatures` has name → what scores of text come from, more than one where not all methods say the
    same. `best_scores` has (model, task) → the best score in percent that is left to a model of which not all right
    answers fit into the new tokens, and `notices` a line each on what models can do in part only.
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
    largest_at: dict[tuple[str, str, str], dict[int, float | None]] = field(default_factory=dict)
    pb_intervals: dict[tuple[str, str, str], Ends] = field(default_factory=dict)
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


def summarise(store: RunStore | MergedRuns, visit: Visitor | None = None) -> Summary:
    """Read the samples of a run and compute what its report says; what is not on disk, or damaged, is left out.

    `visit` is told of the samples as they are read, see `load_samples`.

    Raises:
        ValueError: the directory holds no run, or two runs have different samples of one method.
    """
    settings = store.read_settings()
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
        notices=[*settings.get("notices", ()), *length_notices(settings)],
    )
    wanted: dict[tuple[str, str], list[Method]] = {}
    for model, task, method in keys:
        wanted.setdefault((model, task), []).append(method)
    for model in summary.models:
        # For each method the bootstrap means of all tasks so far, summed: from them come the intervals of means.
        resampled: dict[Method, FloatArray] = {}
        for task in summary.tasks:
            loaded = {
                method: load_samples(store, model, task, method, visit) for method in wanted.get((model, task), [])
            }
            found = {method: samples for method, samples in loaded.items() if samples is not None}
            _add_lengths(summary, task, found)
            seeds = {method: store.seeds_of(model, task, method) for method in found}
            found_signatures = [
                store.find_signatures(model, task, method, seed) for method in found for seed in seeds[method]
            ]
            _add_signatures(summary, found_signatures)
            _add_failures(summary, model, task, found)
            _add_points(summary, model, task, found, resampled)
            _add_task_statistics(summary, model, task, found)
        _add_means(summary, model, resampled)
    return summary


def _add_lengths(summary: Summary, task: str, found: dict[Method, Samples]) -> None:
    for samples in found.values():
        if task not in summary.lengths and all(isinstance(length, int) and length > 0 for length in samples.lengths):
            summary.lengths[task] = list(samples.lengths)


def _add_failures(summary: Summary, model: str, task: str, found: dict[Method, Samples]) -> None:
    for method, samples in found.items():
        if samples.failed:
            summary.notices.append(
                f"{model} on {task}: {samples.failed} of {samples.failed + samples.questions} questions could not be "
                f"answered under {method}, and are left out; the same command asks them again"
            )


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
    resampled: dict[Method, FloatArray],
) -> None:
    """The points of a task; the bootstrap means of headline and `PB_COUNTS`, (resamples, 4), go into `resampled`."""
    seed = bootstrap_seed(summary.settings, task)

    def shape(method: Method) -> tuple[int, int]:
        return found[method].questions, found[method].seeds

    for size, group in groupby(sorted(found, key=shape), key=shape):
        methods = list(group)
        headlines = np.stack([found[method].headline.reshape(size) for method in methods], axis=2) * 100
        counts = [getattr(found[method], name).reshape(size) for method in methods for name in PB_COUNTS]
        drawn = bootstrap_means(np.concatenate([headlines, np.stack(counts, axis=2)], axis=2), seed=seed)
        means, speeds = drawn[:, : len(methods)], drawn[:, len(methods) :].reshape(len(drawn), len(methods), -1)
        low, high = percentile_interval(means)
        for column, method in enumerate(methods):
            samples = found[method]
            strict = samples.score_strict
            of_seeds = headlines[:, :, column].mean(axis=0)
            both = np.column_stack([means[:, column], speeds[:, column]])
            resampled[method] = resampled[method] + both if method in resampled else both
            summary.points[model, task, method] = Point(
                headline=float(headlines[:, :, column].mean()),
                low=float(low[column]),
                high=float(high[column]),
                score_strict=None if strict is None else float(strict.mean()) * 100,
                tokens_per_step=float(samples.tokens_per_step.mean()),
                num_rounds=float(samples.num_rounds.mean()),
                num_forward_passes=float(samples.num_forward_passes.mean()),
                samples=len(samples.ids),
                item_tokens_per_step=_item_tokens_per_step(summary, method, samples),
                seeds=samples.seeds,
                seed_deviation=float(of_seeds.std(ddof=1)) if samples.seeds > 1 else None,
                tokens_per_second=samples.tokens_per_second,
                seconds_to_first_token=_known(samples.seconds_to_first_token.mean()),
                scores=samples.scores,
                content_tokens_per_step=_known(samples.content_tokens_per_step.mean()),
                tokens_per_forward_pass=_known(samples.tokens_per_forward_pass.mean()),
                order=samples.order,
                shared=samples.shared,
            )


def _add_means(summary: Summary, model: str, resampled: dict[Method, FloatArray]) -> None:
    """Means over the tasks, each task counting the same, and PBx; only where no task is missing."""
    for method in summary.methods:
        points = [summary.points[key] for task in summary.tasks if (key := (model, task, method)) in summary.points]
        if not points or len(points) < len(summary.tasks):
            continue
        resampled[method] /= len(points)
        low, high = percentile_interval(resampled[method][:, :1])
        strict = [point.score_strict for point in points if point.score_strict is not None]
        summary.means[model, method] = Point(
            headline=float(np.mean([point.headline for point in points])),
            low=float(low[0]),
            high=float(high[0]),
            score_strict=float(np.mean(strict)) if len(strict) == len(points) else None,
            tokens_per_step=float(np.mean([point.tokens_per_step for point in points])),
            num_rounds=float(np.mean([point.num_rounds for point in points])),
            num_forward_passes=float(np.mean([point.num_forward_passes for point in points])),
            samples=sum(point.samples for point in points),
            seeds=min(point.seeds for point in points),
            seed_deviation=deviation_of_mean([point.seed_deviation for point in points]),
            tokens_per_second=_mean_of_known([point.tokens_per_second for point in points]),
            seconds_to_first_token=_mean_of_known([point.seconds_to_first_token for point in points]),
            content_tokens_per_step=_mean_of_known([point.content_tokens_per_step for point in points]),
            tokens_per_forward_pass=_mean_of_known([point.tokens_per_forward_pass for point in points]),
            order=mean_order([point.order for point in points]),
            shared=any(point.shared for point in points),
        )
    for curve in summary.curves:
        _add_speeds(summary, model, curve, resampled)
        oracles = [summary.oracles.get((model, task, curve.name)) for task in summary.tasks]
        found = [item for item in oracles if item is not None]
        if found and len(found) == len(oracles):
            summary.mean_oracles[model, curve.name] = Oracle(
                headline=float(np.mean([item.headline for item in found])),
                num_forward_passes=float(np.mean([item.num_forward_passes for item in found])),
                tokens_per_step=float(np.mean([item.tokens_per_step for item in found])),
                samples=sum(item.samples for item in found),
            )


def _add_speeds(summary: Summary, model: str, curve: Curve, resampled: dict[Method, FloatArray]) -> None:
    """PBx of a curve by every count, with intervals, once all of it is there."""
    methods = summary.on_every_task(curve, model)
    if not methods or any((model, method) not in summary.means for method in methods):
        return
    for column, count in enumerate(PB_COUNTS, start=1):
        # What has no tokens per step reaches no score at any.
        numbers = {method: _number(summary.means[model, method], count) for method in methods}
        known = [method for method, speed in numbers.items() if speed is not None]
        points = [(numbers[method] or 0.0, summary.means[model, method].headline) for method in known]
        key = model, curve.name, count
        summary.largest_at[key] = {
            score: largest_tokens_per_step(points, score, interpolate=curve.adaptive) for score in PB_SCORES
        }
        if known:
            drawn = np.stack([resampled[method] for method in known], axis=1)
            summary.pb_intervals[key] = pb_interval_ends(
                drawn[:, :, column], drawn[:, :, 0], PB_SCORES, interpolate=curve.adaptive
            )
    summary.tokens_per_step_at[model, curve.name] = summary.largest_at[model, curve.name, PB_COUNTS[0]]


def _number(point: Point, name: str) -> float | None:
    """One of a point's numbers, None where it is NaN."""
    value: float | None = getattr(point, name)
    return None if value is None else _known(value)


def _known(number: float) -> float | None:
    """The number, None where it is NaN."""
    return None if np.isnan(number) else float(number)


def _mean_of_known(values: Sequence[float | None]) -> float | None:
    """The mean, None unless all of them are known."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


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
                np.stack([item.num_rounds for item in samples]),
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
