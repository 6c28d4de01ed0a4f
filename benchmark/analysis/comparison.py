"""What changed from one run to another, question by question: differences with intervals, exact tests, flips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path

import numpy as np

from benchmark.analysis.pairing import Answer, Pair, pair_runs
from benchmark.analysis.statistics import FloatArray, bootstrap_means, bootstrap_seed, percentile_interval
from benchmark.protocol.method import Method
from benchmark.store.runs import RunStore

# An answer has flipped where its headline, 0 to 1, changed by at least so much; of right and wrong, that is any change.
FLIP = 0.5


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one setting, a task (`method` None) or everything (`task` None, too): second run minus first.

    Attributes:
        before, after: mean headlines in percent, of the questions that both runs answered.
        difference, low, high: in points, with its 95 % interval of the paired bootstrap over questions, and seeds.
        gained, lost: flips from wrong to right and from right to wrong.
        p: of McNemar's exact test; None where scores are not 0 or 1, or a question was answered more than once.
    """

    model: str
    other_model: str
    task: str | None
    method: Method | None
    other_method: Method | None
    questions: int
    seeds: int
    before: float
    after: float
    difference: float
    low: float
    high: float
    gained: int
    lost: int
    p: float | None

    @property
    def verdict(self) -> str:
        """`gains` or `loses` where the interval leaves out 0, else `same`."""
        return "gains" if self.low > 0 else "loses" if self.high < 0 else "same"


@dataclass(frozen=True, slots=True)
class Flip:
    """An answer that went from right to wrong, or the other way."""

    pair: Pair
    question: str
    seed: int
    before: Answer
    after: Answer

    @property
    def change(self) -> float:
        """Of the headline, -1 to 1."""
        return float(self.after["scores"]["headline"] - self.before["scores"]["headline"])


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs held against each other; `overall` is the mean over models and tasks, each with its methods' mean."""

    first: Path
    second: Path
    overall: Difference
    tasks: list[Difference]
    settings: list[Difference]
    flips: list[Flip]
    notes: list[str]


def compare_runs(first: str | Path, second: str | Path) -> Comparison:
    """Compare the second run with the first, on the questions that both answered.

    Raises:
        ValueError: a directory holds no run, or the two have nothing in common.
    """
    stores = RunStore(first), RunStore(second)
    found = pair_runs(*stores)
    asked = stores[0].read_settings()
    settings, tasks = [], []
    # Of each task, the bootstrap's differences, whose mean is that of all tasks.
    drawn: list[FloatArray] = []
    of_tasks: dict[tuple[str, str], list[Pair]] = {}
    for pair in found.pairs:
        of_tasks.setdefault(pair.before[:2], []).append(pair)
    for (_, task), pairs in of_tasks.items():
        seed = bootstrap_seed(asked, task)
        resampled = [bootstrap_means(_differences(pair)[:, :, None], seed=seed)[:, 0] for pair in pairs]
        settings += [_of_setting(pair, means) for pair, means in zip(pairs, resampled, strict=True)]
        # Equal questions share their resamples, so that the mean over the methods keeps what they have in common.
        drawn.append(np.mean(resampled, axis=0))
        tasks.append(_mean(settings[-len(pairs) :], drawn[-1], task))
    flips = sorted(
        (
            Flip(pair, name, seed, *answers)
            for pair in found.pairs
            for (name, seed), answers in pair.answers.items()
            if abs(_headline(answers[1]) - _headline(answers[0])) >= FLIP
        ),
        key=lambda flip: flip.change,
    )
    overall = _mean(tasks, np.mean(drawn, axis=0), None)
    return Comparison(Path(first), Path(second), overall, tasks, settings, flips, found.notes)


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided p of McNemar's exact test: the binomial of the discordant pairs at 1/2 (McNemar, 1947)."""
    total = gained + lost
    # Python's integers are exact, and their quotient is rounded once.
    tail: int = sum(comb(total, count) for count in range(min(gained, lost) + 1))
    return min(1.0, float(2 * tail / 2**total))


def _headline(answer: Answer) -> float:
    return float(answer["scores"]["headline"])


def _scores(pair: Pair) -> FloatArray:
    """(2, questions, seeds), 0 to 1."""
    values = [[_headline(answers[side]) for answers in pair.answers.values()] for side in (0, 1)]
    scores: FloatArray = np.array(values, dtype=np.float64).reshape(2, len(pair.questions), pair.seeds)
    return scores


def _differences(pair: Pair) -> FloatArray:
    """(questions, seeds), in points."""
    scores = _scores(pair)
    change: FloatArray = 100 * (scores[1] - scores[0])
    return change


def _of_setting(pair: Pair, resampled: FloatArray) -> Difference:
    scores = _scores(pair)
    change = scores[1] - scores[0]
    gained, lost = int((change >= FLIP).sum()), int((change <= -FLIP).sum())
    testable = pair.seeds == 1 and bool(np.isin(scores, (0.0, 1.0)).all())
    low, high = percentile_interval(resampled[:, None])
    return Difference(
        model=pair.before[0],
        other_model=pair.after[0],
        task=pair.before[1],
        method=pair.before[2],
        other_method=pair.after[2],
        questions=len(pair.questions),
        seeds=pair.seeds,
        before=100 * float(scores[0].mean()),
        after=100 * float(scores[1].mean()),
        difference=100 * float(change.mean()),
        low=float(low[0]),
        high=float(high[0]),
        gained=gained,
        lost=lost,
        p=mcnemar(gained, lost) if testable else None,
    )


def _mean(parts: Sequence[Difference], resampled: FloatArray, task: str | None) -> Difference:
    low, high = percentile_interval(resampled[:, None])
    models = dict.fromkeys((part.model, part.other_model) for part in parts)
    names = ["", ""] if len(models) > 1 else list(next(iter(models)))
    return Difference(
        model=names[0],
        other_model=names[1],
        task=task,
        method=None,
        other_method=None,
        questions=max(part.questions for part in parts) if task else sum(part.questions for part in parts),
        seeds=min(part.seeds for part in parts),
        before=float(np.mean([part.before for part in parts])),
        after=float(np.mean([part.after for part in parts])),
        difference=float(np.mean([part.difference for part in parts])),
        low=float(low[0]),
        high=float(high[0]),
        gained=sum(part.gained for part in parts),
        lost=sum(part.lost for part in parts),
        p=None,
    )
