"""Handing portions out: all are done once, whatever order workers tell in and whichever of them die."""

from collections import Counter
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.engine.dispatcher import Dispatcher
from benchmark.engine.portions import Counted, Died, Done, Failed, Message, Notice, Portion, Ready, Work, portions_of
from benchmark.models.interface import Answered, Sample, new_sample
from benchmark.protocol.method import Method
from benchmark.protocol.user_code import UserCodeError

METHODS = [Method.parse("random:k=1"), Method.parse("random:k=2")]


def jobs_of(*counts: int) -> list[Any]:
    model = SimpleNamespace(name="model", has_weights=True)
    return [
        SimpleNamespace(
            model=model,
            task=f"task {number}",
            asked=[{"id": f"{number}/{row}", "length": 3} for row in range(count)],
            pending=METHODS,
            max_new_tokens=8,
            seed=0,
        )
        for number, count in enumerate(counts)
    ]


def sample(row: Any) -> Sample:
    return new_sample(row, "", num_tokens=8, num_forward_passes=4, num_answer_tokens=8)


class Scripted:
    """Workers that answer as a script has it: after how many messages each piece of work, in turn, kills its worker.

    Args:
        count: of workers.
        deaths: for each piece of work that is given, the messages that are told before the worker dies, or None.
        choose: which of so many workers with something to say is heard next.
        poison: ids of questions whose last method always kills.
    """

    def __init__(
        self,
        count: int,
        deaths: Sequence[int | None] = (),
        choose: Callable[[int], int] = lambda count: 0,
        poison: Sequence[str] = (),
    ) -> None:
        self.count, self._deaths, self._choose, self._poison = count, list(deaths), choose, set(poison)
        self._said: dict[int, list[Message]] = {}
        self.given: list[tuple[int, Work]] = []
        self.starts: Counter[int] = Counter()

    def start(self, worker: int) -> None:
        self.starts[worker] += 1
        self._said[worker] = [Ready({"model": "cpu"})]

    def give(self, worker: int, work: Work) -> None:
        assert self._said[worker] == [], "it has something to do already"
        self.given.append((worker, work))
        messages: list[Message] = []
        for method in work.methods:
            messages.append(Counted(4 * len(work.rows), 2 * len(work.rows)))
            messages.append(Answered(method, [sample(row) for row in work.rows], 0.1))
        messages.append(Done())
        death = self._deaths.pop(0) if self._deaths else None
        if self._poison & {row["id"] for row in work.rows}:
            death = len(messages) - 2
        # One that dies with nothing to do is missed when it is given something.
        kept = messages[:-1]
        self._said[worker] = messages if death is None else [*kept[:death], Died("its process ended")]

    def told(self, seconds: float) -> Sequence[tuple[int, Message]]:
        talking = [worker for worker, said in self._said.items() if said]
        if not talking:
            return []
        worker = talking[self._choose(len(talking))]
        return [(worker, self._said[worker].pop(0))]

    def stop(self) -> None:
        self._said.clear()


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, Method]] = Counter()
        self.lost: list[tuple[Portion, str]] = []
        self.notices: list[str] = []
        self.states = self.passes = 0

    def ready(self, worker: int, message: Ready) -> None:
        assert message.devices == {"model": "cpu"}

    def answered(self, portion: Portion, answered: Answered) -> None:
        self.answers.update((one["id"], answered.method) for one in answered.samples)

    def counted(self, portion: Portion, states: int, passes: int) -> None:
        self.states, self.passes = self.states + states, self.passes + passes

    def notice(self, line: str) -> None:
        self.notices.append(line)

    def gave_up(self, portion: Portion, reason: str) -> None:
        self.lost.append((portion, reason))


def asked(jobs: Sequence[Any]) -> set[tuple[str, Method]]:
    return {(row["id"], method) for job in jobs for row in job.asked for method in METHODS}


@settings(max_examples=200, deadline=None)
@given(
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=3),
    count=st.integers(1, 4),
    deaths=st.lists(st.none() | st.integers(0, 5), max_size=12),
    order=st.randoms(use_true_random=False),
)
def test_every_question_is_answered_once_or_given_up_after_two_deaths(
    counts: list[int], count: int, deaths: list[int | None], order: Any
) -> None:
    jobs = jobs_of(*counts)
    workers, heard = Scripted(count, deaths, order.randrange), Heard()
    try:
        Dispatcher(workers, heard).run(portions_of(jobs, count))
    except ValueError as error:
        assert "no worker is left" in str(error)  # noqa: PT017 - deaths may leave none, and often do not
        assert all(starts >= 3 for starts in workers.starts.values())
        return
    lost = {(name, method) for portion, _ in heard.lost for method, ids in portion.missing.items() for name in ids}
    assert set(heard.answers) | lost == asked(jobs)
    assert not set(heard.answers) & lost
    assert set(heard.answers.values()) <= {1}
    assert all(portion.deaths == 2 for portion, _ in heard.lost)
    # What a worker counted before it died is not counted twice.
    assert heard.states == 4 * len(heard.answers)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(2, 4), bad=st.integers(0, 19), order=st.randoms(use_true_random=False))
def test_what_kills_two_workers_is_given_up_and_the_rest_goes_on(count: int, bad: int, order: Any) -> None:
    jobs = jobs_of(12, 8)
    poison = jobs[0].asked[bad]["id"] if bad < 12 else jobs[1].asked[bad - 12]["id"]
    workers, heard = Scripted(count, choose=order.randrange, poison=[poison]), Heard()
    Dispatcher(workers, heard).run(portions_of(jobs, count))
    ((portion, reason),) = heard.lost
    assert reason == "its process ended"
    assert portion.lacks(poison)
    killed = [worker for worker, work in workers.given if poison in {row["id"] for row in work.rows}]
    assert len(killed) == len(set(killed)) == 2, "two workers, not one twice"
    assert sum(workers.starts.values()) == count + 2
    assert sum("its process ended" in line for line in heard.notices) == 2
    # The first method was answered before the death, and stays so.
    assert set(heard.answers) == asked(jobs) - {(row["id"], METHODS[1]) for row in portion.work.rows}


def test_a_worker_that_cannot_live_is_left_out_and_the_others_do_its_work() -> None:
    class Broken(Scripted):
        def give(self, worker: int, work: Work) -> None:
            super().give(worker, work)
            if worker == 0:
                self._said[worker] = [Died("CUDA error")]

    jobs = jobs_of(20)
    workers, heard = Broken(2, choose=lambda count: 0), Heard()
    Dispatcher(workers, heard).run(portions_of(jobs, 2))
    assert workers.starts == {0: 3, 1: 1}
    assert not heard.lost
    assert set(heard.answers) == asked(jobs)
    assert heard.notices[-1] == (
        "worker 1 of 2 died on model, task 0 (CUDA error); it is not started again, having died three times in a row"
    )


def test_where_no_worker_is_left_the_run_ends_and_says_why() -> None:
    dispatcher = Dispatcher(Scripted(1, [0] * 9), Heard())
    for _ in range(2):
        with pytest.raises(ValueError, match="no worker is left; the last one died of: its process ended"):
            dispatcher.run(portions_of(jobs_of(3, 3, 3), 1))


@pytest.mark.parametrize(("kind", "raised"), [("value", ValueError), ("user", UserCodeError), ("error", RuntimeError)])
def test_work_that_is_refused_ends_the_run_with_its_line(kind: str, raised: type[Exception]) -> None:
    class Refusing(Scripted):
        def give(self, worker: int, work: Work) -> None:
            self._said[worker] = [Notice("8 rows did not fit"), Failed("model on task 0: no", kind)]

    heard = Heard()
    with pytest.raises(raised, match="model on task 0: no"):
        Dispatcher(Refusing(2), heard).run(portions_of(jobs_of(4), 2))
    assert "8 rows did not fit" in heard.notices


def test_a_worker_that_leaves_questions_out_is_found_out() -> None:
    class Lazy(Scripted):
        def give(self, worker: int, work: Work) -> None:
            self._said[worker] = [Done()]

    with pytest.raises(ValueError, match="model on task 0: not all questions were answered under random"):
        Dispatcher(Lazy(1), Heard()).run(portions_of(jobs_of(2), 1))


def test_workers_go_on_to_more_and_are_asked_whether_to_stop() -> None:
    workers, heard, looks = Scripted(2), Heard(), []
    dispatcher = Dispatcher(workers, heard)
    for job in jobs_of(3, 4):
        dispatcher.run(portions_of([job], 2), lambda: looks.append(1))
    assert workers.starts == {0: 1, 1: 1}
    assert set(heard.answers) == asked(jobs_of(3, 4))
    assert looks


def test_nothing_is_started_for_nothing() -> None:
    workers = Scripted(2)
    Dispatcher(workers, Heard()).run([])
    assert not workers.starts
