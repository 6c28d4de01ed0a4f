"""The tables and the picture of `docs/methods_compared.md`, from the numbers that `methods_compared.py` collects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

#: Where a right answer's tokens depend on each other.
DEPENDENT = (
    "waiting_line_shuffle",
    "waiting_line_insert_random",
    "waiting_line_remove_random",
    "waiting_line_replace_random",
    "puzzle_latin_square_n4",
)
REFERENCE, IDEAL = "reference", "ideal:reference"
#: What all others are held against: its speed is that at which their scores are read.
YARDSTICK = "threshold(threshold=0.9)"
ONE_BY_ONE = "confidence(k=1)"
#: Points of score that a setting may lose to one token at a time.
LOSS = 1.0
#: A setting this much slower counts as of the same speed.
AS_FAST = 0.98
#: Fewer questions of a task than this, and the page says that they are few.
FEW = 50
_HEADLINE, _SPEED, _ROUNDS, _PASSES, _CONTENT, _ITEMS = range(6)
#: Curves that the picture names; the others are drawn thin.
_NAMED = ("confidence", "threshold", "factor", "frechet", "eb", "lopa", "verified", "dapd(mode=staged)", "dawn", "wino")
_COLUMNS = (
    *("method", "PB80", "PB75", "PB70", "at threshold .9's speed", "setting", "all: score @ tokens per round"),
    *("rounds", "passes", "content tokens per round", "dependent", "ideal, all", "ideal, dependent"),
)
_HEAD = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}\n"


@dataclass(frozen=True, slots=True)
class Numbers:
    """What was collected.

    Attributes:
        parts: one for each model and task.
        samples: questions of a task.
        tasks: of all of them.
    """

    parts: dict[tuple[str, str], dict[str, Any]]
    samples: int
    tasks: list[str]

    @classmethod
    def of(cls, parts: Sequence[dict[str, Any]]) -> Numbers:
        """Of the list that `collect` writes."""
        found = {(part["model"], part["task"]): part for part in parts}
        return cls(found, min(part["samples"] for part in parts), sorted({part["task"] for part in parts}))

    @property
    def curves(self) -> dict[str, tuple[bool, list[str]]]:
        """Name → whether it is adaptive, and its settings."""
        found: dict[str, tuple[bool, list[str]]] = {}
        for part in self.parts.values():
            for name, (adaptive, methods) in part.get("curves", {}).items():
                found.setdefault(name, (adaptive, methods))
        return found

    def mean(self, model: str, method: str, tasks: Sequence[str]) -> list[float] | None:
        """The mean over tasks of each number; None where one of them is missing."""
        rows = [self.parts.get((model, task), {}).get("points", {}).get(method) for task in tasks]
        if not rows or any(row is None for row in rows):
            return None
        columns = zip(*[row[:_ITEMS] for row in rows if row is not None], strict=True)
        return [sum(column) / len(rows) for column in columns]

    def interval(self, model: str, method: str, tasks: Sequence[str]) -> tuple[float, float] | None:
        """The 95 % interval of the mean score, of the bootstrap over each task's questions.

        Answers are right or wrong, so that a task's score says how many are right, which is all that a bootstrap needs.
        None where a score is missing, or is not that of such answers.
        """
        from benchmark.analysis.statistics import bootstrap_means, bootstrap_stream, percentile_interval

        resampled = []
        for task in tasks:
            point = self.parts.get((model, task), {}).get("points", {}).get(method)
            right = point and point[_HEADLINE] / 100 * self.samples
            if right is None or abs(right - round(right)) > 0.01 * self.samples / 100:
                return None
            answers = (np.arange(self.samples) < round(right)).astype(np.float64)
            resampled.append(bootstrap_means(answers[:, None], seed=bootstrap_stream({}, task)))
        low, high = percentile_interval(100 * np.mean(resampled, axis=0))
        return float(low[0]), float(high[0])

    def oracle(self, model: str, curve: str, tasks: Sequence[str]) -> list[float] | None:
        """Score and tokens per step of the best setting of a curve for each question, mean over tasks."""
        rows = [self.parts.get((model, task), {}).get("oracles", {}).get(curve) for task in tasks]
        if not rows or any(row is None for row in rows):
            return None
        return [sum(row[index] for row in rows) / len(rows) for index in (0, 1)]


def write_page(parts: Sequence[dict[str, Any]], docs: Path) -> None:
    """Numbers and picture into `docs/assets`, tables between the marks of the page."""
    numbers = Numbers.of(parts)
    # All tasks of a model have the same curves.
    seen: set[str] = set()
    kept = []
    for part in parts:
        kept.append({key: value for key, value in part.items() if key != "curves" or part["model"] not in seen})
        seen.add(part["model"])
    text = json.dumps(kept, separators=(",", ":")) + "\n"
    (docs / "assets" / "methods_compared.json").write_text(text, encoding="utf-8")
    draw(numbers, docs / "assets" / "methods_compared.svg")
    page = docs / "methods_compared.md"
    text = page.read_text(encoding="utf-8")
    for name, content in (("methods", methods_table(numbers)), ("closed forms", closed_form_table(numbers))):
        opening, closing = f"<!-- {name}: begin -->\n", f"\n<!-- {name}: end -->"
        before, _, rest = text.partition(opening)
        _, _, after = rest.partition(closing)
        text = f"{before}{opening}\n{content}{closing}{after}"
    page.write_text(text, encoding="utf-8")


def methods_table(numbers: Numbers) -> str:
    """A row for each curve, those first that reach PB80 fastest."""
    tasks, dependent = numbers.tasks, [task for task in DEPENDENT if task in numbers.tasks]
    yardstick = numbers.mean(REFERENCE, YARDSTICK, tasks)
    best = numbers.mean(REFERENCE, ONE_BY_ONE, tasks)
    rows: list[tuple[float, str]] = []
    for name, (adaptive, methods) in numbers.curves.items():
        means = {method: mean for method in methods if (mean := numbers.mean(REFERENCE, method, tasks)) is not None}
        if not means:
            continue
        pb = [_pb(list(means.values()), score, adaptive) for score in (80, 75, 70)]
        at_speed = [
            mean[_HEADLINE] for mean in means.values() if yardstick and mean[_SPEED] >= AS_FAST * yardstick[_SPEED]
        ]
        setting, mean = _chosen(means, best[_HEADLINE] if best else 100)
        cells = [
            f"`{name}`",
            *[_number(value) for value in pb],
            _number(max(at_speed, default=None)),
            f"`{setting}`",
            _pair(mean, numbers.interval(REFERENCE, setting, tasks)),
            _number(mean[_ROUNDS]),
            _number(mean[_PASSES]),
            _number(mean[_CONTENT], 2),
            _pair(numbers.mean(REFERENCE, setting, dependent), numbers.interval(REFERENCE, setting, dependent)),
            _pair(numbers.mean(IDEAL, setting, tasks)),
            _pair(numbers.mean(IDEAL, setting, dependent)),
        ]
        rows.append((-(pb[0] or 0), "| " + " | ".join(cells) + " |\n"))
    oracles = [numbers.oracle(model, "threshold", some) for model in (REFERENCE, IDEAL) for some in (tasks, dependent)]
    last = ["oracle: the fastest of each question's best thresholds", *["–"] * 5, _pair(oracles[0]), *["–"] * 3]
    rows.append((1, "| " + " | ".join([*last, *[_pair(pair) for pair in oracles[1:]]]) + " |\n"))
    count = f"{numbers.samples} question{'s' if numbers.samples > 1 else ''} of each of {len(tasks)} tasks"
    if numbers.samples < FEW:
        count += ", which are too few to tell methods apart that lie a few points from each other"
    return f"{count}.\n\n{_HEAD}" + "".join(row for _, row in sorted(rows, key=lambda row: row[0]))


def closed_form_table(numbers: Numbers) -> str:
    """What the ideal model must lose with k tokens a step, beside what it lost."""
    text = "| task | order | k | items per step | closed form | measured |\n|---|---|---|---|---|---|\n"
    for task in DEPENDENT:
        part = numbers.parts.get((IDEAL, task))
        for order, points in part["closed_forms"] if part else []:
            for k in (2, 4, 8):
                found = part["points"].get(f"{order}(k={k})") if part else None
                if found is None or found[_ITEMS] is None:
                    continue
                form = _between([(x, accuracy) for _, x, accuracy in points], found[_ITEMS])
                if form is not None:
                    text += f"| {task} | {order} | {k} | {found[_ITEMS]:.2f} | {form:.1f} | {found[_HEADLINE]:.1f} |\n"
    return text


def draw(numbers: Numbers, path: Path) -> None:
    """Score against tokens per round of the reference model, dependent tasks to the left and all to the right."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "methods compared"
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    dependent = [task for task in DEPENDENT if task in numbers.tasks]
    for panel, tasks, title in zip(
        axes,
        (dependent, numbers.tasks),
        ("tokens depend on each other", f"all {len(numbers.tasks)} tasks"),
        strict=True,
    ):
        for name, (_, methods) in numbers.curves.items():
            means = [mean for method in methods if (mean := numbers.mean(REFERENCE, method, tasks)) is not None]
            points = sorted((mean[_SPEED], mean[_HEADLINE]) for mean in means)
            if not points:
                continue
            x, y = zip(*points, strict=True)
            if name in _NAMED:
                panel.plot(
                    x, y, "o-", label=name, linewidth=1.5, markersize=4, color=f"C{_NAMED.index(name)}", zorder=3
                )
            else:
                panel.plot(x, y, "-", linewidth=0.7, color="0.75", zorder=1)
        found = numbers.oracle(REFERENCE, "threshold", tasks)
        if found is not None:
            panel.plot(found[1], found[0], "k*", markersize=9, label="oracle", zorder=4)
        panel.set(xlabel="tokens per round", title=title, xscale="log", ylim=(-2, 102))
        panel.set_xticks([1, 2, 4, 8, 16, 32, 64], ["1", "2", "4", "8", "16", "32", "64"])
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("score, %")
    axes[0].legend(frameon=False, fontsize=7, loc="lower left")
    figure.savefig(path, metadata={"Date": None})


def _pb(means: Sequence[Sequence[float]], score: float, adaptive: bool) -> float | None:
    from benchmark.analysis.statistics import largest_tokens_per_step

    points = [(mean[_SPEED], mean[_HEADLINE]) for mean in means]
    return largest_tokens_per_step(points, score, interpolate=adaptive)


def _chosen(means: dict[str, list[float]], best: float) -> tuple[str, list[float]]:
    """The fastest setting that loses at most `LOSS` points, else the most accurate one."""
    good = {method: mean for method, mean in means.items() if mean[_HEADLINE] >= best - LOSS}
    if good:
        return max(good.items(), key=lambda item: item[1][_SPEED])
    return max(means.items(), key=lambda item: (item[1][_HEADLINE], item[1][_SPEED]))


def _between(points: Sequence[tuple[float, float]], x: float) -> float | None:
    """Linear between neighbouring points; None outside of them."""
    ordered = sorted(points)
    for (left, low), (right, high) in pairwise(ordered):
        if left <= x <= right:
            return low if right == left else low + (high - low) * (x - left) / (right - left)
    return None


def _number(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _pair(mean: Sequence[float] | None, interval: tuple[float, float] | None = None) -> str:
    if mean is None:
        return "–"
    between = "" if interval is None else f" ({interval[0]:.1f}–{interval[1]:.1f})"
    return f"{mean[0]:.1f}{between} @ {mean[1]:.1f}"
