"""Numbers of a report: bootstrap intervals, PBx, oracle, parallelizability and order preference.

What is computed follows ParallelBench (arXiv 2510.04767). Scores are percentages, 0..100, unless said otherwise.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

RESAMPLES = 1000
LEVEL = 0.95

# Counts drawn at once: 2 million of 8 bytes keep a chunk at 16 MB however many samples there are.
_CHUNK = 2_000_000


def _resample_counts(samples: int, seed: Sequence[int], resamples: int) -> Iterator[FloatArray]:
    """How often each sample is drawn in each resample, in chunks of shape (resamples of the chunk, samples)."""
    generator = np.random.default_rng(list(seed))
    chance = np.full(samples, 1.0 / samples)
    rows = max(1, _CHUNK // samples)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        yield generator.multinomial(samples, chance, size=size).astype(np.float64)


def bootstrap_seed(settings: Mapping[str, Any], task: str) -> tuple[int, int]:
    """What seeds the bootstrap of a task: the run's first seed and the task alone, so that a task's intervals do not
    depend on what else was run.

    Args:
        settings: of the run.
        task: its name.
    """
    seed = next(iter(settings.get("seeds", ())), 0)
    return seed if isinstance(seed, int) and seed >= 0 else 0, crc32(task.encode("utf-8", "surrogatepass"))


def bootstrap_means(values: FloatArray, *, seed: Sequence[int] = (0,), resamples: int = RESAMPLES) -> FloatArray:
    """Means of `resamples` resamples of the questions, and of the seeds that each was answered with.

    Questions and seeds are drawn with replacement independently of each other, so that the means vary as those of other
    questions and other seeds would. With one seed this is the ordinary bootstrap over questions. All columns share the
    resamples, so that one matrix product serves every setting of a task, and so that the difference of two columns can
    be taken resample by resample.

    Args:
        values: (questions, seeds, settings); (questions, settings) with one seed.
        seed: non-negative integers; equal seeds give equal resamples.
        resamples: how many.

    Returns:
        (resamples, settings).

    Raises:
        ValueError: `values` has another shape, or has no row.

    Source: the bootstrap of crossed random effects, A. B. Owen, "The pigeonhole bootstrap", 2007.
    """
    values = values[:, None] if values.ndim == 2 else values
    if values.ndim != 3 or values.size == 0:
        shape = "(questions, seeds, settings) with at least one question"
        raise ValueError(f"values have shape {values.shape}; expected {shape}")
    questions, seeds, settings = values.shape
    # Another stream, so that the questions that are drawn do not depend on the number of seeds.
    drawn = np.concatenate(list(_resample_counts(seeds, (*seed, 1), resamples))) if seeds > 1 else None
    chunks: list[FloatArray] = []
    done = 0
    for counts in _resample_counts(questions, seed, resamples):
        of_seeds = (counts @ values.reshape(questions, -1)).reshape(-1, seeds, settings)
        if drawn is not None:
            of_seeds = of_seeds * drawn[done : done + len(counts), :, None]
        chunks.append(of_seeds.sum(axis=1))
        done += len(counts)
    means: FloatArray = np.concatenate(chunks) / (questions * seeds)
    return means


def percentile_interval(resampled: FloatArray, level: float = LEVEL) -> tuple[FloatArray, FloatArray]:
    """Lower and upper end of the percentile bootstrap interval, each (settings,), from means (resamples, settings).

    The percentile interval of samples that all have one value has no width (100 right answers of 100 give
    [100, 100]): it describes the samples at hand and knows nothing of the answers that were not asked for.
    """
    tail = (1.0 - level) / 2 * 100
    low, high = np.percentile(resampled, [tail, 100 - tail], axis=0)
    return low, high


def deviation_of_mean(deviations: Sequence[float | None]) -> float | None:
    """Of the mean of several tasks, each of which has noise of its own; None unless all are known."""
    known = [value for value in deviations if value is not None]
    return float(np.sqrt(np.sum(np.square(known))) / len(known)) if len(known) == len(deviations) else None


def largest_tokens_per_step(points: Sequence[tuple[float, float]], score: float, *, interpolate: bool) -> float | None:
    """PBx: the largest tokens per step at which the curve through `points` is at least `score`.

    Adaptive methods (threshold, factor) can be set to anything between two measured points, so their curve is the
    polyline through the points in order of tokens per step; methods that commit k tokens exist at the measured points
    only. The curve need not fall: what counts is the last place where it reaches `score`, even if it was below before.
    Of points with the same tokens per step the best counts. One point is a curve of its own.

    Args:
        points: (tokens per step, score), in any order.
        score: x of PBx.
        interpolate: whether the curve exists between the points.

    Returns:
        Tokens per step, or None where the curve never reaches `score`.

    Source: ParallelBench (arXiv 2510.04767), the PBx metric.
    """
    best: dict[float, float] = {}
    for tokens_per_step, value in points:
        best[tokens_per_step] = max(value, best.get(tokens_per_step, value))
    curve = sorted(best.items())
    reached = [index for index, (_, value) in enumerate(curve) if value >= score]
    if not reached:
        return None
    last = reached[-1]
    left, above = curve[last]
    if not interpolate or last == len(curve) - 1:
        return left
    right, below = curve[last + 1]
    return left + (right - left) * (above - score) / (above - below)


def oracle(scores: FloatArray, num_forward_passes: FloatArray, num_tokens: FloatArray) -> tuple[float, float, float]:
    """What a threshold chosen anew for every sample could reach: the fewest steps at the sample's best score.

    Args:
        scores: (settings, samples), the scores of each sample under each threshold, any scale.
        num_forward_passes: (settings, samples).
        num_tokens: (settings, samples), generated tokens.

    Returns:
        Means over the samples: score (as given), forward passes, tokens per step.

    Raises:
        ValueError: shapes differ, or there is no setting or no sample.

    Source: ParallelBench (arXiv 2510.04767), the oracle threshold.
    """
    if scores.ndim != 2 or scores.size == 0 or not scores.shape == num_forward_passes.shape == num_tokens.shape:
        shapes = [array.shape for array in (scores, num_forward_passes, num_tokens)]
        raise ValueError(f"the oracle was given shapes {shapes}; expected the same (settings, samples) three times")
    best = scores.max(axis=0)
    passes = np.where(scores == best, num_forward_passes, np.inf)
    chosen = passes.argmin(axis=0)
    columns = np.arange(scores.shape[1])
    fewest = passes[chosen, columns]
    return float(best.mean()), float(fewest.mean()), float((num_tokens[chosen, columns] / fewest).mean())


def parallelizability(k: Sequence[float], scores: Sequence[float]) -> float | None:
    """Σ k·score_k / Σ score_k: tokens per step, weighted by what is still right there; None if nothing ever is.

    Args:
        k: tokens per step of each setting.
        scores: score of each setting, any scale.

    Source: ParallelBench (arXiv 2510.04767).
    """
    total = sum(scores)
    if total == 0:
        return None
    return sum(tokens * score for tokens, score in zip(k, scores, strict=True)) / total


def order_preference(block_lengths: Sequence[float], scores: Sequence[float]) -> float | None:
    """Slope of the least-squares line of score over block length, in points per token of block length.

    Positive: the task gains from a free order (long blocks). Negative: it gains from going left to right. None where
    fewer than two block lengths were measured. It is meant for settings that commit two tokens per step.

    Source: ParallelBench (arXiv 2510.04767).
    """
    if len(block_lengths) != len(scores):
        raise ValueError(f"{len(block_lengths)} block lengths came with {len(scores)} scores; expected as many")
    if len(set(block_lengths)) < 2:
        return None
    x: Any = np.asarray(block_lengths, dtype=np.float64)
    y: Any = np.asarray(scores, dtype=np.float64)
    x = x - x.mean()
    return float((x @ (y - y.mean())) / (x @ x))
