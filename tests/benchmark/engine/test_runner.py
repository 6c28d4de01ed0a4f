"""The runner: the same samples however they are batched, finished settings kept, and what a stop leaves behind."""

import shutil
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import timeless

import hub_dataset
from benchmark.engine.planning import Job, Plan
from benchmark.engine.runner import Runner
from benchmark.engine.scoring import load_metric
from benchmark.models import BenchmarkModel, IdealModel, TaskModel, load_model
from benchmark.models.interface import Answered, AnswerOptions, Sample, new_sample
from benchmark.protocol.method import Method, expand
from benchmark.protocol.questions import Row, load_rows
from benchmark.protocol.settings import RunSettings, group_methods
from benchmark.store.runs import RunStore

TASKS = ("waiting_line_shuffle", "puzzle_sudoku_n4_12")
# One of each kind: a quota, blocks, a threshold, remasking, and scores that are drawn.
SCHEDULERS = ["random:k=8", "left_to_right:k=8", "threshold:threshold=0.5", "remdm:k=8", "rcr:k=16"]


def make_runner(
    directory: Path,
    tasks: tuple[str, ...] = TASKS,
    schedulers: list[str] = SCHEDULERS,
    samples: int | None = 8,
    models: list[BenchmarkModel] | None = None,
    **options: Any,
) -> Runner:
    """A runner whose store is new or holds what an earlier one of the same settings left."""
    rows = {task: load_rows(task, samples) for task in tasks}
    changes = {name: options.pop(name) for name in ("seeds", "temperature") if name in options}
    new_tokens = options.pop("max_new_tokens", None)
    tokens = {task: new_tokens or rows[task][0]["max_new_tokens"] for task in tasks}
    methods = {task: [found for text in schedulers for found in expand(text, tokens[task])] for task in tasks}
    settings = RunSettings(
        groups=tuple(group_methods([model.name for model in models] if models else ["ideal"], methods, new_tokens)),
        samples=samples,
        checksums={},
        **{"seeds": (0,), "temperature": None, **changes},
    )
    return Runner(settings, RunStore(directory), rows, models or [load_model("ideal")], **options)


class Recorder:
    """A progress that keeps what it is told: finished settings with their samples, answers as they came, notices."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.tasks: list[str] = []
        self.settings: dict[tuple[str, str, str], list[Sample]] = {}
        self.answered: list[tuple[str, Answered]] = []
        self.notices: list[str] = []
        self._then = then

    def setting_done(self, job: Job, method: Method, samples: list[Sample]) -> None:
        self.tasks.append(job.task)
        self.settings[job.model.name, job.task, str(method)] = samples
        self._then()

    def samples_done(self, job: Job, answered: Answered) -> None:
        assert answered.seconds > 0
        self.answered.append((job.task, answered))

    def states_done(self, job: Job, states: int, passes: int) -> None:
        assert states >= 0
        assert passes >= 0

    def notice(self, line: str) -> None:
        self.notices.append(line)


def run(runner: Runner) -> Recorder:
    """Run what is pending; returns what was reported."""
    recorder = Recorder()
    runner.run(runner.plan(), recorder)
    return recorder


def contents(directory: Path) -> dict[str, bytes]:
    """The samples on disk, by their path in the run's directory, without the seconds that they took."""
    files = (directory / "samples").rglob("*.jsonl")
    return {str(path.relative_to(directory)): timeless(path) for path in files}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the tasks and schedulers above, for reading only."""
    directory = tmp_path_factory.mktemp("finished")
    run(make_runner(directory))
    return directory


# -- what is computed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"batch_size": 1, "workers": 1}, {"batch_size": 3, "workers": 2}], ids=str)
def test_results_are_the_same_bytes_whatever_the_batch_size_and_workers(
    options: dict[str, int], finished: Path, tmp_path: Path
) -> None:
    run(make_runner(tmp_path, **options))
    assert contents(tmp_path) == contents(finished)
    assert len(contents(finished)) == len(TASKS) * len(SCHEDULERS)


def test_another_seed_gives_other_samples(finished: Path, tmp_path: Path) -> None:
    run(make_runner(tmp_path, seeds=(1,)))
    other = {name.replace(".seed1.", ".seed0."): content for name, content in contents(tmp_path).items()}
    first = contents(finished)
    assert other.keys() == first.keys()
    shuffles = [name for name in first if "shuffle" in name]
    assert all(other[name] != first[name] for name in shuffles)


def test_a_setting_has_the_same_samples_whatever_runs_beside_it(finished: Path, tmp_path: Path) -> None:
    run(make_runner(tmp_path, tasks=TASKS[:1], schedulers=SCHEDULERS[:1]))
    (name,) = contents(tmp_path)
    assert contents(tmp_path)[name] == contents(finished)[name]


def test_samples_are_the_rows_in_their_order_with_the_metrics_scores(finished: Path) -> None:
    rows = load_rows(TASKS[0], 8)
    samples = RunStore(finished).read_samples("ideal", TASKS[0], "random(k=8)")
    assert [sample["id"] for sample in samples] == [row["id"] for row in rows]
    assert [sample["length"] for sample in samples] == [row["length"] for row in rows]
    scored = load_metric().compute(
        predictions=[sample["prediction"] for sample in samples],
        references=[row["reference"] for row in rows],
        per_sample=True,
    )["samples"]
    names = ("score", "score_strict", "headline")
    assert [sample["scores"] for sample in samples] == [{name: score[name] for name in names} for score in scored]


def test_tokens_per_step_is_the_answers_length_over_the_forward_passes(finished: Path) -> None:
    for task, tokens in zip(TASKS, (32, 64), strict=True):
        for sample in RunStore(finished).read_samples("ideal", task, "random(k=8)"):
            assert sample["num_tokens"] == tokens
            assert sample["num_forward_passes"] == tokens // 8
            assert sample["tokens_per_step"] == 8.0
        for sample in RunStore(finished).read_samples("ideal", task, "remdm(k=8)"):
            assert sample["num_forward_passes"] == tokens // 8 + 1


@pytest.mark.parametrize("task", hub_dataset.default_task_names())
def test_the_ideal_model_is_always_right_one_token_at_a_time(task: str, tmp_path: Path) -> None:
    run(make_runner(tmp_path, tasks=(task,), schedulers=["random:k=1", "left_to_right:k=1"], samples=4))
    for label in ("random(k=1)", "left_to_right(k=1)"):
        samples = RunStore(tmp_path).read_samples("ideal", task, label)
        assert [sample["scores"]["score_strict"] for sample in samples] == [1.0] * 4


def test_the_users_temperature_wins_over_the_models(tmp_path: Path) -> None:
    for name, temperature in (("own", None), ("one", 1.0), ("greedy", 0.0)):
        runner = make_runner(tmp_path / name, TASKS[:1], ["confidence:k=4"], temperature=temperature)
        run(runner)
    assert contents(tmp_path / "own") == contents(tmp_path / "one")
    assert contents(tmp_path / "own") != contents(tmp_path / "greedy")


def test_max_new_tokens_is_the_length_of_every_answer(tmp_path: Path) -> None:
    run(make_runner(tmp_path, TASKS[1:], ["random:k=8"], max_new_tokens=40))
    samples = RunStore(tmp_path).read_samples("ideal", TASKS[1], "random(k=8)")
    assert {sample["num_tokens"] for sample in samples} == {40}
    assert {sample["num_forward_passes"] for sample in samples} == {5}


def test_progress_is_told_answers_as_they_come_and_then_scored_samples(tmp_path: Path) -> None:
    recorder = run(make_runner(tmp_path, TASKS[:1], SCHEDULERS[:2], batch_size=3, workers=1))
    told = [(task, str(answered.method), len(answered.samples)) for task, answered in recorder.answered]
    labels = ("random(k=8)", "left_to_right(k=8)")
    assert told == [(TASKS[0], label, count) for label in labels for count in (3, 3, 2)]
    assert not any("scores" in sample for _, answered in recorder.answered for sample in answered.samples)
    for label in labels:
        assert recorder.settings["ideal", TASKS[0], label] == RunStore(tmp_path).read_samples("ideal", TASKS[0], label)


# -- what is on disk already ---------------------------------------------------------------------------------------


def test_all_is_pending_at_first_with_the_longest_jobs_in_front(tmp_path: Path) -> None:
    plan = make_runner(tmp_path).plan()
    assert [job.task for job in plan.jobs] == ["puzzle_sudoku_n4_12", "waiting_line_shuffle"]
    assert [len(job.pending) for job in plan.jobs] == [5, 5]
    assert plan.finished == dict.fromkeys(TASKS, 0)
    assert not list(tmp_path.iterdir())


def test_seeds_are_run_in_their_order_also_where_the_first_has_less_to_do(tmp_path: Path) -> None:
    run(make_runner(tmp_path, TASKS[:1], SCHEDULERS[:2]))
    jobs = make_runner(tmp_path, TASKS, SCHEDULERS[:3], seeds=(0, 1, 2)).plan().jobs
    assert [(job.task, job.seed) for job in jobs] == [(task, seed) for task in TASKS[::-1] for seed in (0, 1, 2)]
    assert [len(job.pending) for job in jobs] == [3, 3, 3, 1, 3, 3]


def answers_given(recorder: Recorder) -> Counter[str]:
    return Counter(str(answered.method) for _, answered in recorder.answered for _ in answered.samples)


def test_what_draws_no_noise_is_decoded_with_one_seed_and_stands_for_all(tmp_path: Path) -> None:
    schedulers, how = ["confidence:k=8", "random:k=8"], {"temperature": 0.0}
    recorder = run(make_runner(tmp_path / "all", TASKS[:1], schedulers, seeds=(0, 1, 2), **how))
    assert answers_given(recorder) == {"confidence(k=8)": 8, "random(k=8)": 3 * 8}
    together = contents(tmp_path / "all")
    assert len(together) == 6
    for seed in (0, 1, 2):
        # Another folder, so that nothing is taken from beside it.
        alone = make_runner(tmp_path / f"{seed}" / "alone", TASKS[:1], schedulers, seeds=(seed,), **how)
        run(alone)
        assert contents(alone.store.directory).items() <= together.items()
    assert make_runner(tmp_path / "all", TASKS[:1], schedulers, seeds=(0, 1, 2), **how).plan().all_jobs == []


def test_seeds_that_come_later_decode_nothing_where_no_noise_is_drawn(tmp_path: Path) -> None:
    how = {"temperature": 0.0}
    run(make_runner(tmp_path / "a", TASKS[:1], ["confidence:k=8"], seeds=(1,), **how))
    plan = make_runner(tmp_path / "a", TASKS[:1], ["confidence:k=8"], seeds=(0, 1, 2), **how).plan()
    assert (plan.all_jobs, plan.finished) == ([], {TASKS[0]: 3})
    assert len(contents(tmp_path / "a")) == 3


def test_an_interrupted_run_repeats_what_was_finished_when_it_goes_on(tmp_path: Path) -> None:
    def make() -> Runner:
        return make_runner(tmp_path / "a", TASKS, ["confidence:k=8"], seeds=(0, 1), temperature=0.0, workers=1)

    def interrupt() -> None:
        raise KeyboardInterrupt

    runner = make()
    with pytest.raises(KeyboardInterrupt):
        runner.run(runner.plan(), Recorder(then=interrupt))
    assert len(contents(tmp_path / "a")) == 1
    plan = make().plan()
    assert [len(job.pending) for job in (*plan.jobs, *plan.repeats)] == [1, 1]
    run(make())
    assert len(contents(tmp_path / "a")) == 4


def test_a_model_that_draws_itself_is_asked_with_every_seed(tmp_path: Path) -> None:
    greedy = [load_model("ideal-greedy")]
    recorder = run(make_runner(tmp_path, TASKS[:1], ["confidence:k=8"], models=greedy, seeds=(0, 1)))
    assert answers_given(recorder) == {"confidence(k=8)": 16}


def test_a_quota_beyond_a_tasks_tokens_is_not_run_on_it(tmp_path: Path) -> None:
    jobs = make_runner(tmp_path, schedulers=["random"]).plan().jobs
    quotas = {job.task: [method.parameters["k"] for method in job.pending] for job in jobs}
    assert quotas == {"waiting_line_shuffle": [1, 2, 4, 8, 16, 32], "puzzle_sudoku_n4_12": [1, 2, 4, 8, 16, 32, 64]}


def test_nothing_is_pending_in_a_finished_run(finished: Path) -> None:
    runner = make_runner(finished)
    plan = runner.plan()
    assert plan.jobs == []
    assert plan.finished == dict.fromkeys(TASKS, len(SCHEDULERS))
    assert run(runner).tasks == []


def test_only_what_is_damaged_absent_or_of_other_rows_is_run_again(finished: Path, tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    shutil.copytree(finished / "samples", tmp_path / "samples")
    cut, absent = (store.samples_path("ideal", TASKS[0], f"{name}(k=8)") for name in ("random", "remdm"))
    fewer = store.samples_path("ideal", TASKS[1], "rcr(k=16)")
    cut.write_bytes(cut.read_bytes()[:-40])
    absent.unlink()
    store.write_samples("ideal", TASKS[1], "rcr(k=16)", store.read_samples("ideal", TASKS[1], "rcr(k=16)")[:-1])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jsonl") if path not in (cut, absent, fewer)}

    assert sorted(run(make_runner(tmp_path)).tasks) == [TASKS[1], TASKS[0], TASKS[0]]
    assert contents(tmp_path) == contents(finished)
    assert {path: path.stat().st_mtime_ns for path in before} == before


# -- when it is stopped --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_keeps_what_is_finished_and_goes_on_from_there(
    workers: int, finished: Path, tmp_path: Path
) -> None:
    def interrupt() -> None:
        if len(recorder.tasks) == 3:
            raise KeyboardInterrupt

    recorder = Recorder(interrupt)
    runner = make_runner(tmp_path, workers=workers)
    with pytest.raises(KeyboardInterrupt):
        runner.run(runner.plan(), recorder)
    kept = contents(tmp_path)
    assert 3 <= len(kept) < len(TASKS) * len(SCHEDULERS)
    assert kept.items() <= contents(finished).items()

    again = make_runner(tmp_path)
    assert sum(again.plan().finished.values()) == len(kept)
    assert len(run(again).tasks) == len(TASKS) * len(SCHEDULERS) - len(kept)
    assert contents(tmp_path) == contents(finished)


class _FailingModel(IdealModel):
    """An ideal model that does only the tasks it is told."""

    def __init__(self, error: BaseException, fails_on: str, others: threading.Event | None = None) -> None:
        super().__init__()
        self.error, self.fails_on, self.others = error, fails_on, others

    def for_task(self, rows: Any, max_new_tokens: int, seed: int = 0) -> TaskModel:
        if rows[0]["task"] == self.fails_on:
            raise self.error
        if self.others is not None:
            assert self.others.wait(60)
        return super().for_task(rows, max_new_tokens, seed)


def test_what_a_model_refuses_names_model_and_task(tmp_path: Path) -> None:
    model = _FailingModel(ValueError("row 3: too long"), TASKS[1])
    with pytest.raises(ValueError, match=f"ideal on {TASKS[1]}: row 3: too long"):
        run(make_runner(tmp_path, models=[model]))


class _Careless(IdealModel):
    """A model that answers questions itself, and some twice, not at all, or unasked."""

    def __init__(self, drop: int, add: list[int]) -> None:
        super().__init__()
        self.drop, self.add = drop, add

    def answers(self, questions: list[Row], methods: list[Method], options: AnswerOptions) -> Any:
        others = [{**questions[0], "id": f"row {number}"} for number in range(len(questions), 10)]
        known = [*questions, *others]
        for row in [*questions[self.drop :], *(known[number] for number in self.add)]:
            sample = new_sample(row, row["answer"], num_tokens=8, num_forward_passes=1, num_answer_tokens=8)
            yield Answered(methods[0], [sample], 0.1)


@pytest.mark.parametrize(
    ("drop", "add", "expected"),
    [
        (1, [], r"not all questions were answered under random\(k=8\)"),
        (1, [2], r"shuffle.* was answered twice under random\(k=8\)"),
        (1, [9], "row 9 was answered twice .*, or was not asked"),
        (0, [3], "was answered twice"),
    ],
)
def test_a_model_that_answers_other_than_it_was_asked_is_refused(
    drop: int, add: list[int], expected: str, tmp_path: Path
) -> None:
    runner = make_runner(tmp_path, TASKS[:1], SCHEDULERS[:1], models=[_Careless(drop, add)])
    with pytest.raises(ValueError, match=f"ideal on {TASKS[0]}: .*{expected}"):
        run(runner)


def test_answers_may_come_in_any_order(tmp_path: Path) -> None:
    run(make_runner(tmp_path, TASKS[:1], SCHEDULERS[:1], models=[_Careless(1, [0])]))
    samples = RunStore(tmp_path).read_samples("ideal", TASKS[0], "random(k=8)")
    assert [sample["id"] for sample in samples] == [row["id"] for row in load_rows(TASKS[0], 8)]


class _AlonePairs(IdealModel):
    """A model that has its device to itself, and says when it goes on to its second method."""

    concurrent = False

    def __init__(self, goes_on: threading.Event) -> None:
        super().__init__()
        self.goes_on = goes_on

    def answers(self, questions: list[Row], methods: list[Method], options: AnswerOptions) -> Any:
        for number, method in enumerate(methods):
            if number:
                self.goes_on.set()
            samples = [
                new_sample(row, row["answer"], num_tokens=8, num_forward_passes=1, num_answer_tokens=8)
                for row in questions
            ]
            yield Answered(method, samples, 0.1)


def test_a_model_that_has_its_device_to_itself_goes_on_while_its_answers_are_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, seen = threading.Event(), []
    runner = make_runner(tmp_path, TASKS[:1], SCHEDULERS[:2], models=[_AlonePairs(goes_on)])
    score = runner.scorer.score

    def slow(rows: Any, samples: Any) -> Any:
        seen.append(goes_on.wait(5))
        return score(rows, samples)

    monkeypatch.setattr(runner.scorer, "score", slow)
    assert len(run(runner).settings) == 2
    assert seen == [True, True]


def test_an_error_in_one_task_stops_the_others(tmp_path: Path) -> None:
    model = _FailingModel(RuntimeError("broken"), TASKS[1])
    runner = make_runner(tmp_path, workers=2, models=[model])
    model.others = runner._stop
    with pytest.raises(RuntimeError, match="broken"):
        run(runner)
    assert contents(tmp_path) == {}


def test_torch_has_its_threads_back_afterwards(tmp_path: Path) -> None:
    import torch

    before = torch.get_num_threads()
    run(make_runner(tmp_path / "whole", schedulers=["random:k=32"], workers=2))
    assert torch.get_num_threads() == before
    runner = make_runner(tmp_path / "failed", schedulers=["random:k=32"], workers=2)
    runner.rows.update({task: [{**row, "reference": "{}"} for row in rows] for task, rows in runner.rows.items()})
    with pytest.raises(ValueError, match="scorer"):
        run(runner)
    assert torch.get_num_threads() == before


def test_what_scoring_text_takes_is_missed_before_anything_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setenv("PARALLELBENCH_LANGUAGETOOL_URL", "http://127.0.0.1:9")
    runner = make_runner(tmp_path, tasks=("words_to_sentence_easy",), schedulers=["random:k=8"])
    plan = Plan([Job(load_model("ideal"), "words_to_sentence_easy", runner.rows["words_to_sentence_easy"], 8, [])])
    monkeypatch.setattr("benchmark.engine.runner.run_side_by_side", None)
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9 gave no answer"):
        runner.run(plan, Recorder())
