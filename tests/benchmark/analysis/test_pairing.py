"""Which answers of two runs are held against each other, and what is said of those that are not."""

from pathlib import Path
from typing import Any

import pytest
from example_run import method, run_settings, sample_rows, write_run

from benchmark.analysis.pairing import pair_runs
from benchmark.protocol.method import Method
from benchmark.store.runs import RunStore

RANDOM = method("random", "k", 4)
CONFIDENCE = method("confidence", "k", 4)
RIGHT = [1.0, 0.0, 1.0]


def made(
    directory: Path,
    rows: list[dict[str, Any]],
    model: str = "ideal",
    of: Method = RANDOM,
    metric: str | None = None,
    **settings: Any,
) -> RunStore:
    """A run of one setting."""
    store = RunStore(directory)
    with store.lock():
        store.write_settings(run_settings([of], ["copy"], [model], **settings))
        for seed in settings.get("seeds", [0]):
            store.write_samples(model, "copy", of, rows, seed=seed, metric=metric)
    return store


def checked(rows: list[dict[str, Any]], checksum: str) -> list[dict[str, Any]]:
    return [{**row, "question_checksum": checksum} for row in rows]


def test_equal_runs_are_matched_without_a_word(tmp_path: Path) -> None:
    stores = [write_run(tmp_path / name, [RANDOM, CONFIDENCE], ["copy", "sort"], samples=4) for name in "ab"]
    found = pair_runs(*stores)
    assert [pair.before for pair in found.pairs] == [pair.after for pair in found.pairs]
    assert len(found.pairs) == 4
    assert found.notes == []
    assert all(len(pair.questions) == 4 and pair.seeds == 1 for pair in found.pairs)


def test_one_model_and_one_method_stand_for_each_other(tmp_path: Path) -> None:
    first = made(tmp_path / "a", sample_rows("copy", RIGHT))
    second = made(tmp_path / "b", sample_rows("copy", RIGHT), model="org/other", of=CONFIDENCE)
    found = pair_runs(first, second)
    assert found.pairs[0].after == ("org/other", "copy", CONFIDENCE)
    assert found.notes == ["models differ: ideal → org/other", "methods differ: random(k=4) → confidence(k=4)"]


def test_of_several_methods_only_the_same_are_matched(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", [RANDOM, CONFIDENCE], ["copy"], samples=3)
    second = write_run(tmp_path / "b", [RANDOM, method("random", "k", 2)], ["copy"], samples=3)
    found = pair_runs(first, second)
    assert [pair.before[2] for pair in found.pairs] == [RANDOM]
    assert found.notes == [
        "1 setting is in the first run alone, such as ideal on copy under confidence(k=4)",
        "1 setting is in the second run alone, such as ideal on copy under random(k=2)",
    ]


def test_questions_of_other_data_are_left_out(tmp_path: Path) -> None:
    rows = sample_rows("copy", RIGHT)
    first = made(tmp_path / "a", checked(rows, "one"), data={"version": "1"})
    second = made(tmp_path / "b", [*checked(rows[:2], "one"), *checked(rows[2:], "two")], data={"version": "2"})
    found = pair_runs(first, second)
    assert len(found.pairs[0].questions) == 2
    assert found.notes == [
        "data version differs: 1 → 2",
        "ideal on copy under random(k=4): left out: 1 question that asks something else",
    ]


def test_settings_that_differ_are_named(tmp_path: Path) -> None:
    first = made(tmp_path / "a", sample_rows("copy", RIGHT), temperature=None, new_tokens={"ideal": {"copy": 32}})
    second = made(tmp_path / "b", sample_rows("copy", RIGHT), temperature=0.5, new_tokens={"ideal": {"copy": 64}})
    assert pair_runs(first, second).notes == [
        "temperature differs: the default → 0.5",
        "new tokens differ: copy 32 → 64",
    ]


def test_what_models_schedulers_and_libraries_are_is_compared(tmp_path: Path) -> None:
    runs = []
    for name, dtype, source, torch in (("a", "float32", "1", "2.4"), ("b", "bfloat16", "2", "2.13")):
        run = made(tmp_path / name, sample_rows("copy", RIGHT), versions={"torch": torch, "parallelbench": "0.1"})
        settings = run.read_settings()
        settings["schedulers"]["random"]["source"] = {"module": source}
        settings["models"] = [{"name": "ideal", "dtype": dtype, "revision": "same"}]
        with run.lock():
            run.write_settings(settings)
            run.write_samples("ideal", "copy", RANDOM, sample_rows("copy", RIGHT))
        runs.append(run)
    found = [note.partition(" differs: ") for note in pair_runs(*runs).notes]
    assert [what for what, _, _ in found] == ["dtype of ideal", "source of random", "torch"]
    assert found[0][2] == "float32 → bfloat16"
    assert pair_runs(runs[0], runs[0]).notes == []


def test_methods_that_cannot_be_matched_are_said_how_they_could(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", [RANDOM], ["copy"], samples=3)
    second = write_run(tmp_path / "b", [CONFIDENCE, method("confidence", "k", 2)], ["copy"], samples=3)
    with pytest.raises(ValueError, match="where both runs have one on a task"):
        pair_runs(first, second)


def test_scores_of_two_metrics_are_refused(tmp_path: Path) -> None:
    first = made(tmp_path / "a", sample_rows("copy", RIGHT), metric="old")
    second = made(tmp_path / "b", sample_rows("copy", RIGHT), metric="new")
    with pytest.raises(ValueError, match="scored by different versions of the metric"):
        pair_runs(first, second)


def test_seeds_in_common_are_matched_and_else_their_order(tmp_path: Path) -> None:
    rows = sample_rows("copy", RIGHT)
    first, second = made(tmp_path / "a", rows, seeds=[0, 1]), made(tmp_path / "b", rows, seeds=[1, 2])
    assert pair_runs(first, second).pairs[0].seeds == 1
    assert [note.partition(": ")[2] for note in pair_runs(first, second).notes] == [
        "left out, as the other run lacks it: seed 0 of the first run",
        "left out, as the other run lacks it: seed 2 of the second run",
    ]
    other = made(tmp_path / "c", rows, seeds=[5, 6])
    found = pair_runs(first, other)
    assert found.pairs[0].seeds == 2
    assert "no seed in common; 0 is held against 5, 1 is held against 6" in found.notes[0]


def test_failed_and_lonely_questions_are_left_out(tmp_path: Path) -> None:
    rows = sample_rows("copy", [1.0] * 4)
    failed = [{"id": rows[0]["id"], "prediction": "", "error": "timeout"}, *rows[1:3]]
    found = pair_runs(made(tmp_path / "a", rows), made(tmp_path / "b", failed))
    assert len(found.pairs[0].questions) == 2
    assert [note.partition(": ")[2] for note in found.notes] == [
        "left out: 1 question that failed",
        "left out: 1 question that is in the first run alone",
    ]


def test_what_is_not_finished_is_said(tmp_path: Path) -> None:
    stores = [write_run(tmp_path / name, [RANDOM, CONFIDENCE], ["copy"], samples=3) for name in "ab"]
    stores[1].samples_path("ideal", "copy", RANDOM).unlink()
    found = pair_runs(*stores)
    assert len(found.pairs) == 1
    assert found.notes == ["ideal on copy under random(k=4): left out, not finished in the second run"]
