"""The answers of a job as they come: kept on disk while others are missing, scored and brought to a file as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Protocol

from benchmark.engine.planning import Job
from benchmark.engine.scoring import Scorer
from benchmark.models.interface import Answered, Sample
from benchmark.protocol.method import Method
from benchmark.store.runs import RunStore


class Progress(Protocol):
    """Is told how a run goes, by one thread at a time."""

    def samples_done(self, job: Job, answered: Answered) -> None:
        """Some questions have been answered under one method; their samples have no scores yet."""
        ...

    def setting_done(self, job: Job, method: Method, samples: list[Sample]) -> None:
        """All questions have been answered under a method; the samples are scored and on disk."""
        ...

    def states_done(self, job: Job, states: int, passes: int) -> None:
        """Settings have come through so many states, and so many went through the model; not told of every model.

        Negative where a worker died, and its part is done again.
        """
        ...

    def notice(self, line: str) -> None:
        """Something that the user should know, and that stops nothing."""
        ...


class Collector:
    """Where the answers of a run go.

    Args:
        store: of the run.
        scorer: scores them.
        metric: what tells its metric from others.
        checksum: task and id → what tells a question from others of its id.
        progress: is told of them.
        reporting: held while it is told.
    """

    def __init__(
        self,
        store: RunStore,
        scorer: Scorer,
        metric: str,
        checksum: Callable[[str, str], str],
        progress: Progress,
        reporting: Lock,
    ) -> None:
        self.store, self.scorer, self.metric, self.checksum = store, scorer, metric, checksum
        self.progress, self.reporting = progress, reporting

    def notice(self, line: str) -> None:
        """Tell the user something."""
        with self.reporting:
            self.progress.notice(line)

    def counted(self, job: Job, states: int, passes: int) -> None:
        """Tell of states and passes."""
        with self.reporting:
            self.progress.states_done(job, states, passes)


class JobAnswers:
    """The answers of one job.

    Args:
        job: the job.
        collector: where they go.
        later: called with what is left to do when a setting is complete; None: it is done at once.

    Attributes:
        said: errors of samples that the user knows of.
    """

    def __init__(
        self, job: Job, collector: Collector, later: Callable[[Callable[[], None]], None] | None = None
    ) -> None:
        self.job, self._collector, self._later = job, collector, later
        self.said: set[str | None] = {None}
        # None where there is none yet, in the order of the questions.
        self._answers: dict[Method, dict[str, Sample | None]] = {
            method: {row["id"]: job.known.get(method, {}).get(row["id"]) for row in job.rows} for method in job.pending
        }

    @property
    def unfinished(self) -> list[Method]:
        """Settings that lack an answer."""
        return list(self._answers)

    def finish_known(self) -> None:
        """Score settings that lack nothing else."""
        for method in self.unfinished:
            self._complete(method)

    def take(self, answered: Answered) -> None:
        """Put samples, which have no scores, where they belong, and on disk while others are missing.

        Raises:
            ValueError: a question was answered twice, or was not asked.
        """
        with self._collector.reporting:
            self._collector.progress.samples_done(self.job, answered)
        answers = self._answers.get(answered.method, {})
        new: list[Sample] = []
        for sample in answered.samples:
            if answers.get(sample["id"], sample) is not None:
                raise ValueError(f"{sample['id']} was answered twice under {answered.method}, or was not asked")
            checksum = self._collector.checksum(self.job.task, sample["id"])
            new.append({**sample, "question_checksum": checksum})
            answers[sample["id"]] = new[-1]
        complete = all(sample is not None for sample in answers.values())
        given = [sample for sample in new if "error" not in sample]
        if given and not (complete and self._later is None):
            job = self.job
            self._collector.store.keep_answers(job.model.name, job.task, answered.method, given, job.seed)
        if complete:
            self._complete(answered.method)

    def _complete(self, method: Method) -> None:
        answers = self._answers.pop(method)
        if self._later is None:
            self._finish(method, answers)
        else:
            self._later(lambda: self._finish(method, answers))

    def _finish(self, method: Method, answers: Mapping[str, Sample | None]) -> None:
        """Score the samples of a setting and bring them to disk; what failed has no score."""
        job, collector = self.job, self._collector
        samples = [sample for sample in answers.values() if sample is not None]
        given = [sample for sample in samples if "error" not in sample]
        ids = {sample["id"] for sample in given}
        rows = [row for row in job.rows if row["id"] in ids]
        scored, signatures = collector.scorer.score(rows, given) if given else ([], {})
        by_id = {sample["id"]: sample for sample in (*samples, *scored)}
        collector.store.write_samples(
            job.model.name,
            job.task,
            method,
            list(by_id.values()),
            signatures,
            seed=job.seed,
            metric=collector.metric,
        )
        failed = Counter(sample["error"] for sample in samples if sample.get("error", None) not in self.said)
        with collector.reporting:
            if failed:
                # The usual reason stands for all.
                collector.progress.notice(
                    f"{job.model.name} on {job.task}: {failed.total()} of {len(samples)} questions could not be "
                    f"answered under {method} ({failed.most_common(1)[0][0]}); the same command asks them again"
                )
            collector.progress.setting_done(job, method, scored)
