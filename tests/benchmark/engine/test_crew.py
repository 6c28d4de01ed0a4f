"""A crew of workers: the bytes of one process, whoever answers what and dies at what; and what is left out is said."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import timeless
from tiny_models import save_reference

from benchmark.engine.crew import Crew
from benchmark.engine.placement import Placement
from benchmark.engine.portions import Died, Message, WorkerSetup
from benchmark.engine.runner import Runner
from benchmark.engine.scoring import Scorer
from benchmark.engine.worker_process import WorkerProcess
from benchmark.models import ModelOptions, load_model
from benchmark.models.interface import Answered
from benchmark.protocol.method import Method, expand
from benchmark.protocol.questions import load_rows
from benchmark.protocol.settings import RunSettings, describe_scheduler, group_methods
from benchmark.store.runs import RunStore

TASKS = ("waiting_line_copy", "waiting_line_shuffle")
NEW = 8
# Two that share states, one that reads more than is kept of a state, one that draws an order.
METHODS = ["confidence:k=4", "threshold:threshold=0.5", "klass:k=4,threshold=0.8", "random:k=4"]
TOLD_LEAST = 3
SCORER = Scorer()


class InThisProcess:
    """Workers that are real but for being processes: they do their work when they are heard, in an order of one's own.

    Args:
        setup: what each has to know.
        count: of workers.
        deaths: for each piece of work that is given, after how many messages its worker dies, or None.
        order: a source of chance.
    """

    def __init__(self, setup: WorkerSetup, count: int, deaths: Sequence[int | None], order: Any) -> None:
        self.count, self._setup, self._deaths, self._order = count, setup, list(deaths), order
        self._processes: dict[int, WorkerProcess] = {}
        self._saying: dict[int, tuple[Iterator[Message], int | None]] = {}

    def start(self, worker: int) -> None:
        self._processes[worker] = WorkerProcess(self._setup)
        self._saying[worker] = iter([self._processes[worker].ready()]), None

    def give(self, worker: int, work: Any) -> None:
        death = self._deaths.pop(0) if self._deaths else None
        self._saying[worker] = self._processes[worker].answer(work), death

    def told(self, seconds: float) -> Sequence[tuple[int, Message]]:
        worker = self._order.choice(sorted(self._saying))
        messages, left = self._saying.pop(worker)
        if left == 0:
            messages.close()  # type: ignore[attr-defined]
            return [(worker, Died("its process ended"))]
        message = next(messages, None)
        if message is None:
            return []
        self._saying[worker] = messages, None if left is None else left - 1
        return [(worker, message)]

    def stop(self) -> None:
        self._saying.clear()


class Quiet:
    """A progress that keeps notices and counts."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.answered = 0

    def samples_done(self, job: Any, answered: Answered) -> None:
        self.answered += len(answered.samples)

    def setting_done(self, job: Any, method: Method, samples: Any) -> None: ...

    def states_done(self, job: Any, states: int, passes: int) -> None: ...

    def notice(self, line: str) -> None:
        self.notices.append(line)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_reference(tmp_path_factory.mktemp("model")))


def runner_in(directory: Path, model: str, crew: Any = None) -> Runner:
    """A run that takes nothing from those beside it."""
    rows = {task: load_rows(task, 3) for task in TASKS}
    methods = {task: [found for text in METHODS for found in expand(text, NEW)] for task in TASKS}
    settings = RunSettings(
        groups=tuple(group_methods([model], methods, NEW)), samples=3, seeds=(0,), temperature=None, checksums={},
        model_records={model: load_model(model).record()},
    )  # fmt: skip
    store = RunStore(directory)
    store.write_settings({**settings.as_dict(), "new_tokens": {}})
    runner = Runner(settings, store, rows, [load_model(model)], reuse=False, crew=crew)
    # Loaded once.
    runner.scorer = SCORER
    return runner


def setup_of(model: str, **changes: Any) -> WorkerSetup:
    known: dict[str, Any] = {
        "models": {model: model},
        "options": ModelOptions(),
        "records": {model: load_model(model).record()},
        "sources": {"confidence": describe_scheduler("confidence")},
        "directory": str(Path.cwd()),
    }
    return WorkerSetup(**{**known, **changes})


def contents(directory: Path) -> dict[str, bytes]:
    found = (directory / "samples").rglob("*.json*")
    return {str(path.relative_to(directory)): timeless(path) for path in found}


@pytest.fixture(scope="module")
def alone(model: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process writes."""
    directory = tmp_path_factory.mktemp("alone")
    runner = runner_in(directory, model)
    runner.run(runner.plan(), Quiet())
    return contents(directory)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(1, 3),
    deaths=st.lists(st.none() | st.integers(0, 4), max_size=2),
    order=st.randoms(use_true_random=False),
)
def test_the_bytes_are_those_of_one_process_whoever_answers_and_dies(
    count: int,
    deaths: list[int | None],
    order: Any,
    model: str,
    alone: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("crew")
    # At most one death of a portion: a second one would have it left out.
    deaths = deaths if count > 1 or sum(death is not None for death in deaths) < 2 else deaths[:1]
    workers = InThisProcess(setup_of(model), count, _one_death(deaths), order)
    runner = runner_in(directory, model, Crew(Placement(count, "cpu"), setup_of(model), lambda *_: workers))
    runner.run(runner.plan(), progress := Quiet())
    assert contents(directory) == alone
    assert progress.answered == len(TASKS) * 3 * len(RunStore(directory).read_settings()["groups"][0]["methods"])
    assert RunStore(directory).read_settings()["devices"] == {model: ["cpu"]}


def _one_death(deaths: list[int | None]) -> list[int | None]:
    """The deaths up to the first one."""
    first = next((place for place, death in enumerate(deaths) if death is not None), len(deaths))
    return deaths[: first + 1]


def test_a_portion_that_kills_is_left_out_said_once_and_asked_again(
    model: str, alone: dict[str, bytes], tmp_path: Path
) -> None:
    import random

    lost: list[str] = []

    class Poisoned(InThisProcess):
        def give(self, worker: int, work: Any) -> None:
            super().give(worker, work)
            if any(row["id"].endswith("0001") and row["task"] == TASKS[1] for row in work.rows):
                lost[:] = [row["id"] for row in work.rows]
                messages, _ = self._saying[worker]
                self._saying[worker] = messages, 0

    def crew(kind: Any) -> Crew:
        workers = kind(setup_of(model), 2, [], random.Random(0))
        return Crew(Placement(2, "cpu"), setup_of(model), lambda *_: workers)

    runner = runner_in(tmp_path, model, crew(Poisoned))
    runner.run(runner.plan(), progress := Quiet())
    (line,) = [line for line in progress.notices if "given up" in line]
    assert 0 < len(lost) < len(runner.rows[TASKS[1]])
    assert line == (
        f"{model} on {TASKS[1]}: given up, as 2 workers died at it (its process ended): {', '.join(lost)}; the rest "
        "goes on, and the same command asks them again"
    )
    assert sum("could not be answered" in line for line in progress.notices) == 0
    rows = RunStore(tmp_path).read_samples(model, TASKS[1], Method.parse("confidence(k=4)"))
    assert [row.get("error") for row in rows].count("its worker died: its process ended") == len(lost)

    again = runner_in(tmp_path, model, crew(InThisProcess))
    again.run(again.plan(), told := Quiet())
    assert told.answered == len(lost) * len(again.settings.methods_of(model, TASKS[1]))
    assert contents(tmp_path) == alone


def test_an_interrupt_keeps_every_answer_and_ends_the_workers(
    model: str, alone: dict[str, bytes], tmp_path: Path
) -> None:
    import random

    class Interrupting(Quiet):
        def samples_done(self, job: Any, answered: Answered) -> None:
            super().samples_done(job, answered)
            if self.answered >= TOLD_LEAST:
                raise KeyboardInterrupt

    workers = InThisProcess(setup_of(model), 2, [], random.Random(1))
    runner = runner_in(tmp_path, model, Crew(Placement(2, "cpu"), setup_of(model), lambda *_: workers))
    with pytest.raises(KeyboardInterrupt):
        runner.run(runner.plan(), Interrupting())
    assert not workers._saying
    again = runner_in(tmp_path, model)
    again.run(again.plan(), told := Quiet())
    assert told.answered < len(alone) // 2 * 3
    assert contents(tmp_path) == alone


def test_another_model_or_scheduler_than_where_the_run_was_started_is_refused(model: str) -> None:
    with pytest.raises(ValueError, match=r"is another model on .* than where the run was started: revision files:1 th"):
        WorkerProcess(setup_of(model, records={model: {**load_model(model).record(), "revision": "files:1"}}))
    sources = {"confidence": {**describe_scheduler("confidence"), "source": {"samplers": "1"}}}
    with pytest.raises(ValueError, match="the scheduler confidence is another one on"):
        WorkerProcess(setup_of(model, sources=sources))
