"""The store of one run: what counts as finished, what a crash leaves, and who may write."""

import json
import multiprocessing
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from example_run import method, run_settings, sample_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.protocol.method import Method
from benchmark.store.runs import RunStore, file_name

KEY = ("ideal", "waiting_line_copy", method("confidence", "k", 4))
MINIMAL = run_settings([Method("random")], ["copy"], ["ideal"])
GROUP = MINIMAL["groups"][0]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "run")


def ids(rows: list[dict]) -> list[str]:
    return [row["id"] for row in rows]


def test_samples_come_back_as_they_were_written(store: RunStore) -> None:
    rows = sample_rows("copy", [1.0, 0.0, 0.5])
    rows[1]["prediction"] = 'line\nbreak  \x85 "quote" \ud800 é 🙂'
    store.write_samples(*KEY, rows)
    assert store.read_samples(*KEY) == rows
    assert store.has_samples(*KEY, ids(rows))


def test_same_rows_give_the_same_bytes_whatever_the_order_of_keys(store: RunStore) -> None:
    rows = sample_rows("copy", [1.0, 0.0])
    store.write_samples(*KEY, rows)
    first = store.samples_path(*KEY).read_bytes()
    store.write_samples(*KEY, [dict(reversed(row.items())) for row in rows])
    assert store.samples_path(*KEY).read_bytes() == first


def test_every_truncation_counts_as_absent(store: RunStore) -> None:
    rows = sample_rows("copy", [1.0, 0.0])
    store.write_samples(*KEY, rows)
    path = store.samples_path(*KEY)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert not store.has_samples(*KEY, ids(rows)), length
    path.write_bytes(whole)
    assert store.has_samples(*KEY, ids(rows))


def test_every_changed_byte_counts_as_absent(store: RunStore) -> None:
    rows = sample_rows("copy", [1.0])
    store.write_samples(*KEY, rows)
    path = store.samples_path(*KEY)
    whole = path.read_bytes()
    body = whole.rfind(b"\n", 0, -1)
    for position in range(body):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert store.find_samples(*KEY) is None, position


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: lines[:-1],
        lambda lines: [lines[0], *lines],
        lambda lines: [*lines, lines[0]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [lines[1], lines[0]],
        lambda lines: [b""],
        lambda lines: [b"\xff\xfe", lines[-1]],
        lambda lines: [*lines[:-1], b"[]\n"],
    ],
)
def test_altered_lines_count_as_absent(store: RunStore, damage) -> None:
    rows = sample_rows("copy", [1.0, 0.0])
    store.write_samples(*KEY, rows)
    path = store.samples_path(*KEY)
    path.write_bytes(b"".join(damage(path.read_bytes().splitlines(keepends=True))))
    assert not store.has_samples(*KEY, ids(rows))
    with pytest.raises(ValueError, match="damaged"):
        store.read_samples(*KEY)


def test_other_ids_than_asked_for_count_as_absent(store: RunStore) -> None:
    rows = sample_rows("copy", [1.0, 0.0])
    store.write_samples(*KEY, rows)
    names = ids(rows)
    assert store.has_samples(*KEY, list(reversed(names)))
    assert not store.has_samples(*KEY, names[:1])
    assert not store.has_samples(*KEY, [*names, "another"])
    assert not store.has_samples(*KEY, [names[0], "another"])


def test_absent_samples_raise_and_name_the_file(store: RunStore) -> None:
    assert not store.has_samples(*KEY, ["a"])
    with pytest.raises(ValueError, match=r"confidence\(k=4\)\.seed0\.jsonl is absent"):
        store.read_samples(*KEY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": None}, "needs an id"),
        ({"prediction": 3}, "needs an id and a prediction"),
        ({"num_forward_passes": 0}, "num_forward_passes 0"),
        ({"num_forward_passes": 1.5}, "num_forward_passes 1.5"),
        ({"num_tokens": -1}, "num_tokens -1"),
        ({"tokens_per_step": float("nan")}, "tokens_per_step nan"),
        ({"tokens_per_step": float("inf")}, "cannot be written as JSON"),
        ({"scores": {"headline": 97.0}}, "headline 97.0"),
        ({"scores": {}}, "headline None"),
        ({"length": {1}}, "cannot be written as JSON"),
    ],
)
def test_rows_that_make_no_sense_are_refused(store: RunStore, change: dict, message: str) -> None:
    row = sample_rows("copy", [1.0])[0] | change
    with pytest.raises(ValueError, match=message):
        store.write_samples(*KEY, [row])
    assert not store.samples_path(*KEY).exists()


def test_no_rows_and_ids_given_twice_are_refused(store: RunStore) -> None:
    row = sample_rows("copy", [1.0])[0]
    with pytest.raises(ValueError, match="there are none"):
        store.write_samples(*KEY, [])
    with pytest.raises(ValueError, match="twice"):
        store.write_samples(*KEY, [row, row])


@given(st.lists(st.text(min_size=1, max_size=400), min_size=2, max_size=2, unique=True))
@settings(max_examples=200, deadline=None)
def test_different_labels_get_different_single_file_names(labels: list[str]) -> None:
    first, second = map(file_name, labels)
    assert first != second
    for name in (first, second):
        assert Path(name).name == name
        assert len(name.encode()) < 220
        assert not name.startswith(".")


@pytest.mark.parametrize("label", [".", "..", "../../etc", "org/name", "a\x00b", "\ud800", "x" * 5000, "C:\\x"])
def test_awkward_names_stay_inside_the_run(store: RunStore, label: str) -> None:
    rows = sample_rows("copy", [1.0])
    store.write_samples(label, label, label, rows)
    assert store.has_samples(label, label, label, ids(rows))
    folder = store.samples_path(label, label, label).resolve().parent
    assert folder.parent.parent == (store.directory / "samples").resolve()


def test_an_empty_name_is_refused(store: RunStore) -> None:
    with pytest.raises(ValueError, match="empty"):
        store.samples_path("ideal", "", "random")


def test_usual_labels_stay_readable() -> None:
    assert file_name("threshold(threshold=0.9)") == "threshold(threshold=0.9)"
    assert file_name("left_to_right(k=4, temperature=0.5)") == "left_to_right(k=4,temperature=0.5)"
    assert file_name("org/model-8B@main") == "org--model-8B@main"
    assert file_name("package.module:Rule(k=4)") == "package.module~Rule(k=4)"


def test_settings_come_back(store: RunStore) -> None:
    store.write_settings(MINIMAL)
    assert store.read_settings() == MINIMAL


@pytest.mark.parametrize(
    "wrong", [{"models": ["ideal", "ideal"]}, {"seed": float("nan")}, {"seed": {1}}, {"models": None}]
)
def test_settings_that_could_not_be_read_back_are_refused(store: RunStore, wrong: dict) -> None:
    with pytest.raises(ValueError, match=r"twice|as JSON|no list"):
        store.write_settings(MINIMAL | wrong)
    assert not store.directory.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds no run"),
        ("{", "not readable"),
        ("\xff", "not readable"),
        ("[]", "expected an object"),
        (json.dumps(MINIMAL | {"format": 4}), "format 4"),
        (json.dumps(MINIMAL | {"groups": "copy"}), "no list 'groups'"),
        (json.dumps(MINIMAL | {"schedulers": []}), "no dict 'schedulers'"),
        (json.dumps(MINIMAL | {"schedulers": {}}), "not both among its models and schedulers"),
        (json.dumps(MINIMAL | {"models": ["other"]}), "not both among its models and schedulers"),
        (json.dumps(MINIMAL | {"models": [{}]}), "model {}"),
        (json.dumps(MINIMAL | {"models": ["ideal", "ideal"]}), "'ideal' twice"),
        (json.dumps(MINIMAL | {"groups": ["random"]}), "'random' is not a group"),
        (json.dumps(MINIMAL | {"groups": [GROUP | {"tasks": [3]}]}), "expected lists of names"),
        (json.dumps(MINIMAL | {"groups": [GROUP | {"methods": ["random(k=)"]}]}), "cannot read 'k='"),
        (
            json.dumps({"format": 1, "models": ["ideal"], "tasks": ["copy"], "schedulers": [3]}),
            "of format 1 and cannot",
        ),
    ],
)
def test_a_directory_that_is_no_run_is_named(store: RunStore, content: str | None, message: str) -> None:
    if content is not None:
        store.directory.mkdir()
        (store.directory / "settings.json").write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=message) as caught:
        store.read_settings()
    assert str(store.directory) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_second_holder_of_the_lock_is_refused_and_names_the_directory(store: RunStore) -> None:
    with (
        store.lock(),
        pytest.raises(ValueError, match="in use by another run") as caught,
        RunStore(store.directory).lock(),
    ):
        pass
    assert str(store.directory) in str(caught.value)
    with store.lock():
        pass


def test_a_file_in_the_place_of_the_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match="file"), RunStore(directory).lock():
            pass
    with pytest.raises(ValueError, match="holds no run"):
        RunStore(tmp_path / "file").read_settings()


def test_the_lock_removes_what_a_killed_run_left_and_nothing_else(store: RunStore) -> None:
    store.write_settings(MINIMAL)
    rows = sample_rows("copy", [1.0])
    store.write_samples(*KEY, rows)
    half = store.samples_path(*KEY).with_suffix(".jsonl.123.tmp")
    half.write_text("half")
    (store.directory / "settings.json.123.tmp").write_text("half")
    (store.directory / "notes.tmp").write_text("the user's own")
    with store.lock():
        pass
    assert not half.exists()
    assert sorted(path.name for path in store.directory.glob("*.tmp")) == ["notes.tmp"]
    assert store.has_samples(*KEY, ids(rows))
    assert store.read_settings() == MINIMAL


def test_clear_removes_the_run_and_keeps_what_is_not_its_own(store: RunStore) -> None:
    store.write_settings(MINIMAL)
    store.write_samples(*KEY, sample_rows("copy", [1.0]))
    (store.directory / "plots").mkdir()
    for name in ("summary.json", "summary.csv", "plots/mean.png", "plots/mine.svg", "notes.txt"):
        (store.directory / name).touch()
    with store.lock():
        store.clear()
    left = {str(path.relative_to(store.directory)) for path in store.directory.rglob("*") if path.is_file()}
    assert {name for name in left if not name.startswith(".")} == {"plots/mine.svg", "notes.txt"}
    assert not (store.directory / "samples").exists()


def test_what_scores_come_from_is_kept_with_them(store: RunStore) -> None:
    rows = sample_rows("copy", [1.0])
    assert store.find_signatures(*KEY) == {}
    store.write_samples(*KEY, rows)
    assert store.find_signatures(*KEY) == {}
    store.write_samples(*KEY, rows, {"grammar": "LanguageTool 6.8, en-US, all rules"})
    assert store.find_signatures(*KEY) == {"grammar": "LanguageTool 6.8, en-US, all rules"}
    assert store.has_samples(*KEY, ids(rows))
    for damaged in (b"", b"{", b"[]\n", b'{"signatures": 1}\n'):
        store.samples_path(*KEY).write_bytes(damaged)
        assert store.find_signatures(*KEY) == {}


WRITER = """
import sys
from benchmark.store.runs import RunStore
store = RunStore(sys.argv[1])
rows = [{"id": str(i), "prediction": "x" * 1000, "num_forward_passes": 1, "num_tokens": 32, "tokens_per_step": 32.0,
         "length": 3, "scores": {"headline": 1.0}} for i in range(500)]
with store.lock():
    print("locked", flush=True)
    number = 0
    while True:
        store.write_samples("ideal", "copy", f"random(k={number % 5})", rows)
        number += 1
"""


@pytest.mark.slow
def test_kill_leaves_whole_files_and_a_free_lock(store: RunStore) -> None:
    wanted = [str(number) for number in range(500)]
    root = Path(__file__).resolve().parents[3]
    for delay in (0.05, 0.1, 0.15):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store.directory)], stdout=subprocess.PIPE, text=True, cwd=root
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(ValueError, match="in use"), store.lock():
            pass
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        with store.lock():
            assert not list(store.directory.rglob("*.tmp"))
            for path in store.directory.rglob("*.jsonl"):
                assert store.has_samples("ideal", "copy", Method.parse(path.stem.removesuffix(".seed0")), wanted)


def _write(directory: str, k: int) -> None:
    RunStore(directory).write_samples("ideal", "copy", method("random", "k", k), sample_rows("copy", [1.0, 0.0]))


def test_workers_of_the_holder_may_write(store: RunStore) -> None:
    context = multiprocessing.get_context("fork")
    with store.lock():
        workers = [context.Process(target=_write, args=(str(store.directory), k)) for k in (1, 2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert all(store.find_samples("ideal", "copy", method("random", "k", k)) for k in (1, 2))
    with store.lock():
        pass
