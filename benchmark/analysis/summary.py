"""Everything that a report says about one run, or several read as one, computed from the samples on disk."""

from dataclasses import dataclass, field
from itertools import groupby
from typing import Any
from zlib import crc32

import numpy as np

from benchmark.analysis.closed_forms import item_tokens_per_step
from benchmark.analysis.columns import Samples, load_samples
from benchmark.analysis.families import Family, Setting, group_families
from benchmark.analysis.statistics import (
    FloatArray,
    bootstrap_means,
    largest_tokens_per_step,
    oracle,
    order_preference,
    parallelizability,
    percentile_interval,
)
from benchmark.store.merging import MergedRuns
from benchmark.store.runs import RunStore, model_names

PB_SCORES = (80, 75, 70)
# Tokens per step of the settings over which the order preference is taken.
_ORDER_K = 2


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a trade-off curve, means over samples; scores are percentages with a 95 % bootstrap interval.

    `item_tokens_per_step` is that of `benchmark.analysis.closed_forms`, None where it has none and for means over
    tasks. `score` is the metric's headline, which is the grammar of text; `scores` has all that the metric gave, by
    the names that it gave them, each the mean over the samples that have it, and nothing for means over tasks.
    """

    score: float
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
    """Means over samples under the best threshold of each; the score is a percentage."""

    score: float
    num_forward_passes: float
    tokens_per_step: float
    samples: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The numbers of one run. Settings that are not on disk are missing from every mapping.

    Keys are names. `points` has (model, task, scheduler label); `means` has (model, scheduler label), only settings
    that are run on every task and finished on all of them. `tokens_per_step_at` has (model, family), only families of
    which no such setting is missing, and gives for each x of PBx tokens per step, or None where the mean over the
    tasks is always lower. `oracles` and `parallelizability` have (model, task, family), only families that are
    complete on the task; `mean_oracles`, the mean of `oracles` over the tasks, has (model, family).
    `order_preference` has (model, task, scheduler). `lengths` has task → the length of each of its questions.
    `signatures` has name → what scores of text come from, more than one where not all settings say the same.
    `best_scores` has (model, task) → the best score in percent that is left to a model of which not all right answers
    fit into the new tokens, and `notices` a line each on what models can do in part only.
    `asked` is None where every model is run on every task; else it has the keys of `points` that are wanted.
    """

    settings: dict[str, Any]
    models: list[str]
    tasks: list[str]
    families: list[Family]
    points: dict[tuple[str, str, str], Point] = field(default_factory=dict)
    means: dict[tuple[str, str], Point] = field(default_factory=dict)
    tokens_per_step_at: dict[tuple[str, str], dict[int, float | None]] = field(default_factory=dict)
    oracles: dict[tuple[str, str, str], Oracle] = field(default_factory=dict)
    mean_oracles: dict[tuple[str, str], Oracle] = field(default_factory=dict)
    parallelizability: dict[tuple[str, str, str], float | None] = field(default_factory=dict)
    order_preference: dict[tuple[str, str, str], float] = field(default_factory=dict)
    lengths: dict[str, list[int]] = field(default_factory=dict)
    signatures: dict[str, list[str]] = field(default_factory=dict)
    best_scores: dict[tuple[str, str], float] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    asked: frozenset[tuple[str, str, str]] | None = None

    def best_mean(self, model: str) -> float:
        """The best mean over the tasks that is left to a model, in percent."""
        return sum(self.best_scores.get((model, task), 100.0) for task in self.tasks) / len(self.tasks)

    @property
    def labels(self) -> list[str]:
        """Labels of the schedulers in the order of the settings."""
        return [entry["label"] for entry in self.settings["schedulers"]]

    def setting_keys(self) -> list[tuple[str, str, str]]:
        """(model, task, scheduler label) of every setting that the run has, on disk or not, in its order."""
        settings = {setting.label: setting for family in self.families for setting in family.settings}
        return [
            (model, task, label)
            for model in self.models
            for task in self.tasks
            for label in self.labels
            if settings[label].runs_on(task) and (self.asked is None or (model, task, label) in self.asked)
        ]

    @property
    def expected(self) -> int:
        """How many (model, task, scheduler) settings the run has."""
        return len(self.setting_keys())

    def on_every_task(self, family: Family) -> list[Setting]:
        """The settings of a family that the run has on every task, and that a mean over the tasks exists for."""
        return [setting for setting in family.settings if all(map(setting.runs_on, self.tasks))]

    def family_of(self, label: str) -> Family:
        """The family that the scheduler setting `label` belongs to."""
        return next(family for family in self.families for setting in family.settings if setting.label == label)


def summarise(store: RunStore | MergedRuns) -> Summary:
    """Read the samples of a run and compute what its report says; settings not on disk, or damaged, are left out.

    Raises:
        ValueError: the directory holds no run, or two runs have different samples of one setting.
    """
    settings = store.read_settings()
    seed = settings.get("seed")
    base_seed = seed if isinstance(seed, int) and seed >= 0 else 0
    summary = Summary(
        settings=settings,
        models=model_names(settings),
        tasks=list(settings["tasks"]),
        families=group_families(settings["schedulers"]),
        best_scores={
            (model, task): best
            for model, tasks in settings.get("best_scores", {}).items()
            for task, best in tasks.items()
        },
        notices=list(settings.get("notices", ())),
        asked=store.keys if isinstance(store, MergedRuns) else None,
    )
    keys = summary.setting_keys()
    for model in summary.models:
        # For each scheduler the bootstrap means of every task, from which the interval of their mean is taken.
        resampled: dict[str, list[FloatArray]] = {label: [] for label in summary.labels}
        for task in summary.tasks:
            wanted = [label for name, of, label in keys if (name, of) == (model, task)]
            loaded = {label: load_samples(store, model, task, label) for label in wanted}
            found = {label: samples for label, samples in loaded.items() if samples is not None}
            _add_lengths(summary, task, found)
            _add_signatures(summary, [store.find_signatures(model, task, label) for label in found])
            _add_points(summary, model, task, found, resampled, base_seed)
            _add_task_statistics(summary, model, task, found)
        _add_means(summary, model, resampled)
    return summary


def _add_lengths(summary: Summary, task: str, found: dict[str, Samples]) -> None:
    for samples in found.values():
        if task not in summary.lengths and all(isinstance(length, int) and length > 0 for length in samples.lengths):
            summary.lengths[task] = list(samples.lengths)


def _add_signatures(summary: Summary, signatures: list[dict[str, str]]) -> None:
    for name, signature in (item for entry in signatures for item in entry.items()):
        known = summary.signatures.setdefault(name, [])
        if signature not in known:
            known.append(signature)


def _item_tokens_per_step(summary: Summary, label: str, samples: Samples) -> float | None:
    family = summary.family_of(label)
    k = next(setting.value for setting in family.settings if setting.label == label)
    if family.parameter != "k" or k is None or samples.items is None:
        return None
    return item_tokens_per_step(family.scheduler, int(k), samples.items)


def _add_points(
    summary: Summary,
    model: str,
    task: str,
    found: dict[str, Samples],
    resampled: dict[str, list[FloatArray]],
    seed: int,
) -> None:
    # The stream belongs to the task alone, so a task's intervals do not depend on what else was run.
    stream = (seed, crc32(task.encode("utf-8", "surrogatepass")))
    by_size = sorted(found, key=lambda label: len(found[label].ids))
    for _, group in groupby(by_size, key=lambda label: len(found[label].ids)):
        labels = list(group)
        scores = np.stack([found[label].score for label in labels], axis=1) * 100
        means = bootstrap_means(scores, seed=stream)
        low, high = percentile_interval(means)
        for column, label in enumerate(labels):
            samples = found[label]
            strict = samples.score_strict
            resampled[label].append(means[:, column])
            summary.points[model, task, label] = Point(
                score=float(scores[:, column].mean()),
                low=float(low[column]),
                high=float(high[column]),
                score_strict=None if strict is None else float(strict.mean()) * 100,
                tokens_per_step=float(samples.tokens_per_step.mean()),
                num_forward_passes=float(samples.num_forward_passes.mean()),
                samples=len(samples.ids),
                item_tokens_per_step=_item_tokens_per_step(summary, label, samples),
                scores=samples.scores,
            )


def _add_means(summary: Summary, model: str, resampled: dict[str, list[FloatArray]]) -> None:
    """Means over the tasks, each task counting the same, and PBx; only where no task is missing."""
    for label in summary.labels:
        if not summary.tasks or len(resampled[label]) < len(summary.tasks):
            continue
        points = [summary.points[model, task, label] for task in summary.tasks]
        low, high = percentile_interval(np.mean(resampled[label], axis=0)[:, None])
        strict = [point.score_strict for point in points if point.score_strict is not None]
        summary.means[model, label] = Point(
            score=float(np.mean([point.score for point in points])),
            low=float(low[0]),
            high=float(high[0]),
            score_strict=float(np.mean(strict)) if len(strict) == len(points) else None,
            tokens_per_step=float(np.mean([point.tokens_per_step for point in points])),
            num_forward_passes=float(np.mean([point.num_forward_passes for point in points])),
            samples=sum(point.samples for point in points),
        )
    for family in summary.families:
        means = [summary.means.get((model, setting.label)) for setting in summary.on_every_task(family)]
        curve = [(point.tokens_per_step, point.score) for point in means if point is not None]
        if curve and len(curve) == len(means):
            summary.tokens_per_step_at[model, family.name] = {
                score: largest_tokens_per_step(curve, score, interpolate=family.adaptive) for score in PB_SCORES
            }
        oracles = [summary.oracles.get((model, task, family.name)) for task in summary.tasks]
        known = [item for item in oracles if item is not None]
        if known and len(known) == len(oracles):
            summary.mean_oracles[model, family.name] = Oracle(
                score=float(np.mean([item.score for item in known])),
                num_forward_passes=float(np.mean([item.num_forward_passes for item in known])),
                tokens_per_step=float(np.mean([item.tokens_per_step for item in known])),
                samples=sum(item.samples for item in known),
            )


def _add_task_statistics(summary: Summary, model: str, task: str, found: dict[str, Samples]) -> None:
    for family in summary.families:
        settings = [setting for setting in family.settings if setting.runs_on(task)]
        labels = [setting.label for setting in settings]
        if not labels or any(label not in found for label in labels):
            continue
        key = (model, task, family.name)
        values = [setting.value for setting in settings if setting.value is not None]
        if family.parameter == "k":
            scores = [summary.points[model, task, label].score for label in labels]
            summary.parallelizability[key] = parallelizability(values, scores)
        if family.parameter == "threshold" and len({found[label].ids for label in labels}) == 1:
            samples = [found[label] for label in labels]
            score, passes, tokens_per_step = oracle(
                np.stack([item.score for item in samples]),
                np.stack([item.num_forward_passes for item in samples]),
                np.stack([item.num_tokens for item in samples]),
            )
            summary.oracles[key] = Oracle(score * 100, passes, tokens_per_step, len(samples[0].ids))
    _add_order_preference(summary, model, task, found)


def _add_order_preference(summary: Summary, model: str, task: str, found: dict[str, Samples]) -> None:
    """The slope over block lengths of each scheduler that commits two tokens per step and was run with several."""
    groups: dict[tuple[str, tuple[tuple[str, Any], ...]], list[tuple[float, str]]] = {}
    for family in summary.families:
        fixed = tuple(item for item in family.fixed if item[0] != "block_length")
        for setting in family.settings:
            if family.parameter == "k" and setting.value == _ORDER_K and setting.label in found:
                whole = float(found[setting.label].num_tokens.mean())
                length = whole if setting.block_length is None else float(setting.block_length)
                groups.setdefault((family.scheduler, fixed), []).append((length, setting.label))
    for (scheduler, fixed), members in groups.items():
        scores = [summary.points[model, task, label].score for _, label in members]
        slope = order_preference([length for length, _ in members], scores)
        if slope is not None:
            inside = ", ".join(f"{key}={value}" for key, value in fixed)
            summary.order_preference[model, task, f"{scheduler}({inside})" if inside else scheduler] = slope
