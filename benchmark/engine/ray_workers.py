"""Workers as actors of Ray, on this host or on a cluster: Ray places and starts them, and says when one has died."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from benchmark.engine.placement import Placement
from benchmark.engine.portions import Died, Message, Notice, Work, WorkerSetup
from benchmark.engine.ray_cluster import connect, ray_package

# How long to wait for the first worker before saying that all are waited for.
_PATIENCE_SECONDS = 60.0


class _Actor:
    """A worker process, as Ray holds it; it is made by `ready`, which can say what is wrong."""

    def __init__(self, setup: WorkerSetup) -> None:
        self._setup = setup
        self._process: Any = None

    def ready(self) -> Message:
        from benchmark.engine.worker_process import WorkerProcess, message_of

        try:
            self._process = WorkerProcess(self._setup)
            return self._process.ready()  # type: ignore[no-any-return]
        except Exception as error:
            return message_of(error)

    def answer(self, work: Work) -> Iterator[Message]:
        yield from self._process.answer(work)


class RayWorkers:
    """See `benchmark.engine.dispatcher.Workers`.

    Args:
        placement: how many, and where.
        setup: what each has to know.
    """

    def __init__(self, placement: Placement, setup: WorkerSetup) -> None:
        self.count = placement.count
        self._placement, self._setup = placement, setup
        self._actors: dict[int, Any] = {}
        #: What is waited for → the worker that it comes from: one answer, or a stream of them.
        self._starting: dict[Any, int] = {}
        self._streams: dict[Any, int] = {}
        self._since = time.monotonic()
        self._patient = True
        self._is_ours = False

    def start(self, worker: int) -> None:
        """Have Ray start the actor, when and where there is room."""
        ray = ray_package()
        if not self._actors:
            self._is_ours = connect(self._placement.address, self._placement.host_size) or self._is_ours
        self._drop(worker)
        on_gpu = self._placement.device == "cuda"
        resources: dict[str, Any] = {"num_gpus": 1, "num_cpus": 1} if on_gpu else {"num_cpus": self._placement.threads}
        if not on_gpu:
            # A host's GPUs are none of their business.
            resources["runtime_env"] = {"env_vars": {"CUDA_VISIBLE_DEVICES": ""}}
        # Restarts are the run's own: it has to know what a worker was doing when it died.
        actor = ray.remote(_Actor).options(max_restarts=0, **resources).remote(self._setup)
        self._actors[worker] = actor
        self._starting[actor.ready.remote()] = worker

    def give(self, worker: int, work: Work) -> None:
        """Send the work; its answers come back as a stream."""
        stream = self._actors[worker].answer.options(num_returns="streaming").remote(work)
        self._streams[stream] = worker

    def told(self, seconds: float) -> Sequence[tuple[int, Message]]:
        """What the next of them says."""
        ray = ray_package()
        if self._patient and time.monotonic() - self._since > _PATIENCE_SECONDS:
            self._patient = False
            each = "a GPU" if self._placement.device == "cuda" else f"{self._placement.threads} cores"
            line = f"waiting for Ray to find room for {self.count} workers, with {each} each"
            return [(min(self._actors), Notice(line))]
        waiting = [*self._starting, *self._streams]
        if not waiting:
            time.sleep(seconds)
            return []
        ready, _ = ray.wait(waiting, num_returns=1, timeout=seconds, fetch_local=False)
        return [told for one in ready if (told := self._read(one)) is not None]

    def stop(self) -> None:
        """Kill the actors, and what Ray has started on this host for this run; what was there before stays."""
        ray = ray_package()
        for worker in list(self._actors):
            self._drop(worker)
        if self._is_ours and self._placement.address is None:
            ray.shutdown()

    def _read(self, one: Any) -> tuple[int, Message] | None:
        ray = ray_package()
        starting = one in self._starting
        worker = self._starting[one] if starting else self._streams[one]
        try:
            message = ray.get(one if starting else next(one))
        except StopIteration:
            del self._streams[one]
            return None
        except ray.exceptions.RayError as error:
            self._drop(worker)
            return worker, Died(_reason(error))
        if starting:
            del self._starting[one]
            self._patient = False
        return worker, message

    def _drop(self, worker: int) -> None:
        ray = ray_package()
        for known in (self._starting, self._streams):
            for one in [one for one, whose in known.items() if whose == worker]:
                del known[one]
        actor = self._actors.pop(worker, None)
        if actor is not None:
            with suppress(Exception):
                ray.kill(actor)


def _reason(error: Exception) -> str:
    exceptions = ray_package().exceptions
    if isinstance(error, exceptions.OutOfMemoryError):
        return "the memory of its host ran out"
    if isinstance(error, exceptions.NodeDiedError):
        return "its host is gone"
    if isinstance(error, exceptions.RayActorError):
        return "its process ended"
    return next(iter(str(error).splitlines()), type(error).__name__)
