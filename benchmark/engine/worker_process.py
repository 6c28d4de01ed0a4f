"""What runs in a worker process: models, loaded once, that answer the work they are given and tell how it goes."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

from benchmark.engine.portions import Counted, Died, Done, Failed, Message, Notice, Ready, Work, WorkerSetup
from benchmark.engine.threads import Stopped
from benchmark.engine.worker import worker_for
from benchmark.models import load_model, runs_user_code
from benchmark.models.interface import AnswerOptions, BenchmarkModel
from benchmark.models.memory import RowDoesNotFit
from benchmark.protocol.user_code import UserCodeError, as_user_code, place_of_error

# Counts are told so often: each is a message to another process, and a person sees no more.
_TELL_SECONDS = 0.5


class _Counts:
    """States and passes that are not told yet."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._now = Counted(0, 0)

    def add(self, states: int, passes: int) -> None:
        with self._lock:
            self._now = Counted(self._now.states + states, self._now.passes + passes)

    def take(self) -> Counted:
        with self._lock:
            taken, self._now = self._now, Counted(0, 0)
        return taken


class WorkerProcess:
    """Answers work with models of its own. Of models with weights it holds one at a time.

    Args:
        setup: what it has to know.

    Raises:
        ValueError: a model or a scheduler is another one here than where the run was started.
    """

    def __init__(self, setup: WorkerSetup) -> None:
        import torch

        from benchmark.engine.allocator import keep_freed_memory

        keep_freed_memory()
        if Path(setup.directory).is_dir():
            os.chdir(setup.directory)
        if setup.threads is not None:
            torch.set_num_threads(setup.threads)
        self._setup = setup
        self._models = {name: load_model(given, setup.options) for name, given in setup.models.items()}
        self._answering = {name: worker_for(model) for name, model in self._models.items()}
        self._last: str | None = None
        self._check()

    def ready(self) -> Ready:
        """Says that it is there, and what its models run on."""
        return Ready({name: model.device_name() for name, model in self._models.items()})

    def answer(self, work: Work) -> Iterator[Message]:
        """Do the work; the last message is `Done`, `Failed` or `Died`."""
        told: SimpleQueue[Message] = SimpleQueue()
        counts, stop = _Counts(), Event()
        # A thread: counts have to be told while a model is being asked.
        thread = Thread(target=self._work, args=(work, told.put, counts, stop), daemon=True)
        thread.start()
        try:
            while True:
                try:
                    message = told.get(timeout=_TELL_SECONDS)
                except Empty:
                    message = None
                counted = counts.take()
                if any(counted):
                    yield counted
                if message is not None:
                    yield message
                if isinstance(message, Done | Failed | Died):
                    return
        finally:
            stop.set()
            thread.join()

    def _work(self, work: Work, tell: Callable[[Message], None], counts: _Counts, stop: Event) -> None:
        def check_stop() -> None:
            if stop.is_set():
                raise Stopped

        try:
            model = self._taken_up(work.model)
            options = AnswerOptions(
                max_new_tokens=work.max_new_tokens,
                temperature=work.temperature,
                seed=work.seed,
                batch_size=work.batch_size,
                sharing=work.sharing,
                memory=work.memory,
                check_stop=check_stop,
                notice=lambda line: tell(Notice(line)),
                counted=counts.add,
            )
            with as_user_code(runs_user_code(model, work.methods), f"{work.model} on {work.task}"):
                for answered in self._answering[work.model].answers(work.rows, work.methods, options):
                    check_stop()
                    tell(answered)
            tell(Done())
        except Stopped:
            pass
        except BaseException as error:
            tell(message_of(error, work))

    def _taken_up(self, name: str) -> BenchmarkModel:
        """The model of this name; what another one takes up on the device is given back before."""
        if self._last not in (None, name):
            last = self._models[str(self._last)]
            if not last.concurrent:
                last.release()
        self._last = name
        return self._models[name]

    def _check(self) -> None:
        """Refuse what would give other answers than where the run was started."""
        from benchmark.protocol.settings import describe_scheduler

        here = socket.gethostname()
        for name, model in self._models.items():
            difference = _difference(self._setup.records[name], model.record())
            if difference:
                raise ValueError(f"{name} is another model on {here} than where the run was started: {difference}")
        for name, known in self._setup.sources.items():
            difference = _difference(known, describe_scheduler(name))
            if difference:
                raise ValueError(f"the scheduler {name} is another one on {here} than where the run was started")


def message_of(error: BaseException, work: Work | None = None) -> Failed | Died:
    """What an error means for the work: whether another worker may succeed with it."""
    if is_of_the_worker(error):
        return Died(_one_line(error))
    place = place_of_error(error)
    if isinstance(error, UserCodeError) or place is not None:
        message = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        return Failed(message if place is None else f"{place}: {message}", "user")
    if isinstance(error, ValueError):
        return Failed(str(error) if work is None else f"{work.model} on {work.task}: {error}", "value")
    if isinstance(error, OSError):
        return Failed(_one_line(error), "value")
    return Failed("".join(traceback.format_exception(error)), "error")


def is_of_the_worker(error: BaseException) -> bool:
    """Whether an error says something of the worker's device or process: the same work may go well elsewhere.

    Memory that is too small for a single row counts, as it may have been taken by others; what a driver of a GPU
    reports leaves a process of no further use.
    """
    import torch

    # Older releases of torch raise plain RuntimeErrors.
    of_device = getattr(torch, "AcceleratorError", torch.OutOfMemoryError)
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, (RowDoesNotFit, MemoryError, torch.OutOfMemoryError, of_device)):
            return True
        text = str(found)
        if isinstance(found, RuntimeError) and any(sign in text for sign in ("CUDA error", "CUBLAS_STATUS", "NCCL")):
            return True
        found = found.__cause__
    return False


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}".removesuffix(": ")


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    keys: Sequence[str] = [key for key in dict.fromkeys([*there, *here]) if there.get(key) != here.get(key)]
    return ", ".join(f"{key} {there.get(key)} there, {here.get(key)} here" for key in keys)
