"""The worker processes of a run, started when there is work for them, and what becomes of what they tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark.engine.collecting import Collector, JobAnswers
from benchmark.engine.dispatcher import Dispatcher, Workers
from benchmark.engine.later import Later
from benchmark.engine.placement import Placement
from benchmark.engine.planning import Job
from benchmark.engine.portions import Portion, Ready, WorkerSetup, portions_of
from benchmark.models.interface import Answered, failed_sample

# As many ids say which questions they are; a portion may have more.
_IDS_TOLD = 8


def ray_workers(placement: Placement, setup: WorkerSetup) -> Workers:
    """Workers that Ray places."""
    from benchmark.engine.ray_workers import RayWorkers

    return RayWorkers(placement, setup)


@dataclass(slots=True)
class Crew:
    """Worker processes that answer questions for a run.

    Attributes:
        placement: how many, and where.
        setup: what each has to know; the models that it names are theirs, all others answer in the run's process.
        make: makes them.
    """

    placement: Placement
    setup: WorkerSetup
    make: Callable[[Placement, WorkerSetup], Workers] = ray_workers
    _workers: Workers | None = field(default=None, init=False)
    _dispatcher: Dispatcher | None = field(default=None, init=False)
    _listener: _Listener | None = field(default=None, init=False)

    def run(self, groups: Sequence[Sequence[Job]], collector: Collector, how: Mapping[str, Any]) -> None:
        """Have jobs done.

        Args:
            groups: jobs of models that are done side by side; one group after the other.
            collector: where answers go.
            how: fields of `Work` that are the same for all.

        Raises:
            ValueError: a model or scheduler refuses its work, or no worker is left.
        """
        if self._workers is None or self._dispatcher is None or self._listener is None:
            self._workers = self.make(self.placement, self.setup)
            self._listener = _Listener()
            self._dispatcher = Dispatcher(self._workers, self._listener)
        portions = [one for jobs in groups for one in portions_of(jobs, self._workers.count, **how)]
        self._listener.begin(collector, [job for jobs in groups for job in jobs])
        try:
            self._dispatcher.run(portions, self._listener.check)
        finally:
            self._listener.end()
        self._listener.check()

    def stop(self) -> None:
        """End all workers, whatever they are doing."""
        if self._workers is not None:
            self._workers.stop()
        self._workers = self._dispatcher = self._listener = None


class _Listener:
    """Brings what workers answer to the collector; settings are scored in a thread, while others go on."""

    def __init__(self) -> None:
        self._answers: dict[int, JobAnswers] = {}
        self._later = Later()

    def begin(self, collector: Collector, jobs: Sequence[Job]) -> None:
        """Listen to what is told of these jobs."""
        self._collector = collector
        self._later = Later()
        self._answers = {id(job): JobAnswers(job, collector, self._later) for job in jobs}

    def check(self) -> None:
        """Raise what went wrong in scoring."""
        self._later.check()

    def end(self) -> None:
        """Wait until all that is complete is on disk."""
        self._later.end()

    def ready(self, worker: int, message: Ready) -> None:
        self._collector.store.add_devices(message.devices)

    def answered(self, portion: Portion, answered: Answered) -> None:
        self._answers[id(portion.job)].take(answered)

    def counted(self, portion: Portion, states: int, passes: int) -> None:
        self._collector.counted(portion.job, states, passes)

    def notice(self, line: str) -> None:
        self._collector.notice(line)

    def gave_up(self, portion: Portion, reason: str) -> None:
        """Say which questions are left without an answer; the next run asks them again."""
        ids = [row["id"] for row in portion.work.rows if portion.lacks(row["id"])]
        more = f" and {len(ids) - _IDS_TOLD} more" if len(ids) > _IDS_TOLD else ""
        self._collector.notice(
            f"{portion.job.model.name} on {portion.job.task}: given up, as {portion.deaths} workers died at it "
            f"({reason}): {', '.join(ids[:_IDS_TOLD])}{more}; the rest goes on, and the same command asks them again"
        )
        answers, error = self._answers[id(portion.job)], f"its worker died: {reason}"
        answers.said.add(error)
        for method, missing in portion.missing.items():
            samples = [failed_sample(row, error) for row in portion.work.rows if row["id"] in missing]
            missing.clear()
            if samples:
                answers.take(Answered(method, samples, 0.0))
