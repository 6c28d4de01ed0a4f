"""What a run and its workers tell each other: portions of the work, and how it goes with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple

from benchmark.engine.planning import Job
from benchmark.models.interface import Answered, ModelOptions, Sample
from benchmark.protocol.method import Method
from benchmark.protocol.questions import Row

# More questions do not fill batches better, and are lost together where a worker dies.
_LARGEST = 64
# So many portions for each worker, at least: they end at about the same time, however the costs of tasks differ. More
# cost more than that gains, for at the end of each the last settings leave batches small.
_PORTIONS_EACH = 2


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a worker has to know before it is given work.

    Attributes:
        models: name in results → how to load it.
        options: of models with weights.
        records: name in results → what tells the model from others of its name.
        sources: scheduler → hashes of its source.
        directory: where the run was started, for modules and models that lie there.
        threads: of torch on a CPU; None: what torch takes.
    """

    models: Mapping[str, str]
    options: ModelOptions
    records: Mapping[str, Mapping[str, Any]]
    sources: Mapping[str, Any]
    directory: str
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker process is given: questions of one model, task and seed, and how they are to be answered.

    Attributes:
        model: name of the model.
        task: their task; for errors.
        rows: the questions.
        methods: all of which each question is answered under.
        max_new_tokens, temperature, seed, batch_size, sharing, memory: as in `AnswerOptions`.
    """

    model: str
    task: str
    rows: list[Row]
    methods: list[Method]
    max_new_tokens: int
    temperature: float | None = None
    seed: int = 0
    batch_size: int | None = None
    sharing: bool = True
    memory: float | None = None


class Ready(NamedTuple):
    """A worker has been started, and can be given work.

    Attributes:
        devices: model → what it runs on there, in words.
    """

    devices: dict[str, str]


class Counted(NamedTuple):
    """Settings have come through so many states since, and so many went through the model."""

    states: int
    passes: int


class Notice(NamedTuple):
    """A line for the user, about something that stops nothing."""

    line: str


class Failed(NamedTuple):
    """The work cannot be done, by this worker or any other: a model refuses it, or somebody's own code is wrong.

    Attributes:
        line: what happened.
        kind: `value` for what the user asked for, `user` for an error in code of the user's own, `error` for ours.
    """

    line: str
    kind: str


class Died(NamedTuple):
    """A worker is no more, or of no use any more, and another one may do what it was given."""

    reason: str


class Done(NamedTuple):
    """All of the work has been answered."""


Message = Ready | Answered | Counted | Notice | Failed | Died | Done


@dataclass(slots=True, eq=False)
class Portion:
    """Some questions of a job: the unit that is handed out, and done again where its worker dies.

    Attributes:
        job: that the questions are of.
        work: all of it, as a worker is given it at first.
        missing: method → ids of questions that have no answer under it yet.
        killed: worker → why it died at this portion.
        deaths: how often a worker died at it.
        states, passes: told of since the last answer or death.
    """

    job: Job
    work: Work
    missing: dict[Method, set[str]]
    killed: dict[int, str] = field(default_factory=dict)
    deaths: int = 0
    states: int = 0
    passes: int = 0

    @property
    def left(self) -> Work:
        """What is to be done now: all questions under the methods that still lack an answer."""
        return replace(self.work, methods=[method for method, ids in self.missing.items() if ids])

    def lacks(self, question_id: str) -> bool:
        """Whether a question has no answer yet under some method."""
        return any(question_id in ids for ids in self.missing.values())

    def new(self, answered: Answered) -> list[Sample]:
        """The samples that were missing; those that a worker gave before it died are not taken twice."""
        missing = self.missing.get(answered.method, set())
        found = [sample for sample in answered.samples if sample["id"] in missing]
        missing.difference_update(sample["id"] for sample in found)
        return found


def portions_of(jobs: Sequence[Job], workers: int, **how: Any) -> list[Portion]:
    """The questions of jobs in portions, in the order of the jobs; none of a job that asks nothing.

    Args:
        jobs: of one model, or of several that are done side by side.
        workers: how many there are to do them.
        how: fields of `Work` that are the same for all.
    """
    size = portion_size(sum(len(job.asked) for job in jobs), workers)
    # The ideal model has the words of the questions that it is given, and with other ones another last bit.
    return [
        _portion(job, rows, how)
        for job in jobs
        for rows in _even_parts(job.asked, size if job.model.has_weights else max(len(job.asked), 1))
    ]


def _portion(job: Job, rows: list[Row], how: Mapping[str, Any]) -> Portion:
    work = Work(job.model.name, job.task, rows, job.pending, job.max_new_tokens, seed=job.seed, **how)
    return Portion(job, work, {method: {row["id"] for row in rows} for method in job.pending})


def portion_size(questions: int, workers: int) -> int:
    """Questions of a portion, so that each worker has several to do, and none is too large."""
    return max(1, min(_LARGEST, math.ceil(questions / (workers * _PORTIONS_EACH))))


def _even_parts(rows: list[Row], size: int) -> list[list[Row]]:
    """Rows in as few parts of at most `size` as there can be, none more than one longer than another."""
    parts = math.ceil(len(rows) / size)
    bounds = [len(rows) * part // parts for part in range(parts + 1)] if parts else []
    return [rows[start:stop] for start, stop in pairwise(bounds)]
