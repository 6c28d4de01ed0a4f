"""Accuracy of the ideal model by its closed forms, for the questions of a run, to be set beside what was measured.

The closed forms decode items, people or cells, of one token each and nothing else. A run decodes tokens: an item may
have several, and brackets, separators and end tokens are decoded in the same steps. What parallel decoding costs is a
matter of how many tokens *of items* one step commits, so both are drawn over that number. For a closed form it is items
divided by the steps they take. For a run with k tokens per step it follows from the order (`item_tokens_per_step`):

- random: tokens of items are as likely as others in every step, end tokens included;
- left to right: end tokens come last, and the steps before share the answer's tokens out evenly;
- confidence: separators and end tokens are sure and go first, so that in the end a step commits k tokens of items.

Two things remain that the closed forms do not have. A random step commits more or fewer tokens of items than it does on
average; and an item of several tokens can be begun in two places at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil

from benchmark.theory import adaptive_closed_form, answer_items, mean_closed_form, threshold_rule
from benchmark.theory.tasks import ORDERS, mean_over_lengths

THRESHOLDS = tuple(hundredths / 100 for hundredths in range(50, 101, 2))


@dataclass(frozen=True, slots=True)
class ClosedForm:
    """One curve: accuracy of the ideal model in percent, mean over the questions of a task.

    Attributes:
        scheduler: the order (`ORDERS`) or `threshold`.
        greedy: whether the likeliest token is taken, equal ones drawn at random; else tokens are drawn.
        points: (parameter, x, accuracy): k, tokens of items per step and accuracy, or for `threshold` γ twice and
            accuracy.
    """

    scheduler: str
    greedy: bool
    points: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class AnswerTokens:
    """Tokens of one answer: those generated, those before the end token, and of these those of items."""

    window: int
    answer: int
    items: int


# Scheduler → which tokens its steps share out evenly until those of items are decoded.
_DECODED: dict[str, Callable[[AnswerTokens], int]] = {
    "random": lambda sample: sample.window,
    "left_to_right": lambda sample: sample.answer,
    "confidence": lambda sample: sample.items,
}


def item_tokens_per_step(scheduler: str, k: int, samples: Sequence[AnswerTokens]) -> float | None:
    """Tokens of items that a step commits where k tokens are committed in all, mean over samples; see this module.

    None for schedulers other than `random`, `left_to_right` and `confidence`.
    """
    decoded = _DECODED.get(scheduler)
    if decoded is None or not samples:
        return None
    return sum(sample.items / ceil(decoded(sample) / k) for sample in samples) / len(samples)


def closed_forms(task: str, lengths: Sequence[int], scheduler: str) -> list[ClosedForm]:
    """The curves that are known for a task's questions: sampled, and greedy where that differs.

    Args:
        task: config name.
        lengths: the dataset's column of that name, one per question.
        scheduler: name of a scheduler; others than `ORDERS` and `threshold` have no curves.
    """
    items = [answer_items(task, length) for length in lengths]
    counts = [count for count in items if count is not None]
    # One item can be anywhere between right and wrong; the theory begins with two.
    if not counts or len(counts) < len(items) or min(lengths) < 2:
        return []
    curves = []
    for greedy in (False, True):
        if scheduler in ORDERS:
            points = _by_count(task, lengths, counts, scheduler, greedy)
        elif scheduler == "threshold":
            points = _by_threshold(task, lengths, greedy)
        else:
            points = []
        if len(points) > 1:
            curves.append(ClosedForm(scheduler, greedy, tuple(points)))
    if len(curves) == 2 and curves[0].points == curves[1].points:
        curves.pop()
    return curves


def _by_count(
    task: str, lengths: Sequence[int], counts: Sequence[int], order: str, greedy: bool
) -> list[tuple[float, float, float]]:
    points = []
    for k in range(1, max(counts) + 1):
        accuracy = mean_closed_form(task, lengths, k, order=order, greedy=greedy)
        if accuracy is not None:
            speed = sum(count / ceil(count / k) for count in counts) / len(counts)
            points.append((float(k), speed, 100 * accuracy))
    return points


def _by_threshold(task: str, lengths: Sequence[int], greedy: bool) -> list[tuple[float, float, float]]:
    points = []
    for threshold in THRESHOLDS:
        form = partial(adaptive_closed_form, task, rule=threshold_rule(threshold), greedy=greedy)
        accuracy = mean_over_lengths(lengths, form)
        if accuracy is not None:
            points.append((threshold, threshold, 100 * accuracy))
    return points
