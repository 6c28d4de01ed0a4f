"""Tests of installing: both bare names load in another directory, offline or with no Hub to reach."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_project import ROOT, ROWS, TASKS, SmallProject, run_python

from hub_dataset import task_info
from hub_dataset.installing import METRIC_NAME, InstallError, install, metric_modules

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1"}
DATA = """
import json, datasets
rows = datasets.load_dataset("parallelbench", "waiting_line_copy")["test"]
print(json.dumps([rows.num_rows, rows[0]["prompt"].split(":")[0]]))
"""
LITERAL = """
import json, datasets, evaluate
rows = datasets.load_dataset("parallelbench", "waiting_line_copy")["test"]
score = evaluate.load("parallelbench").compute(predictions=rows["answer"], references=rows["reference"])["score"]
print(json.dumps([rows.num_rows, rows[0]["prompt"].split(":")[0], rows[0]["task"], score]))
"""
FIRST = "These people are waiting in line, from the front (position 0) to the back"


def environment(home: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return kept | {"HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"} | variables


def literal_calls(home: Path, folder: Path, code: str = LITERAL, **variables: str):
    folder.mkdir(exist_ok=True)
    return json.loads(run_python(code, environment(home, **variables), folder).splitlines()[-1])


@pytest.fixture(scope="module")
def first_install(tmp_path_factory):
    """A home with the rows of a small project installed, and what the command printed."""
    folder = tmp_path_factory.mktemp("first")
    (folder / "project").mkdir()
    project = SmallProject(folder / "project")
    return folder / "home", project.run("install", env=environment(folder / "home", **OFFLINE), cwd=folder)


@pytest.fixture
def home(first_install, tmp_path):
    shutil.copytree(first_install[0], tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def changed(tmp_path):
    """The small project with other rows than those of `first_install`."""
    (tmp_path / "project").mkdir()
    project = SmallProject(tmp_path / "project")
    project.change_rows("A queue")
    return project


@pytest.mark.slow
def test_both_literal_calls_work_after_install_and_give_new_rows_after_the_next(first_install, home, changed, tmp_path):
    result = first_install[1]
    assert result.returncode == 0, result.stderr
    assert f"installed {2 * ROWS} rows (test), 2 tasks, and the metric" in result.stdout
    assert "%" not in result.stderr
    assert literal_calls(home, tmp_path / "elsewhere", **OFFLINE) == [ROWS, FIRST, "waiting_line_copy", 100]

    assert changed.run("install", env=environment(home, **OFFLINE), cwd=tmp_path).returncode == 0
    # Nothing listens there; the client's own retries make this the slowest test.
    unreachable = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    assert literal_calls(home, tmp_path / "elsewhere", **unreachable) == [ROWS, "A queue", "waiting_line_copy", 100]
    assert sorted(entry.name for entry in (home / "datasets" / "parallelbench").iterdir()) == TASKS
    assert not list(home.rglob(".*.install-*"))


@pytest.mark.slow
def test_all_tasks_install_and_the_bare_name_gives_100_rows(tmp_path):
    home = tmp_path / "home"
    command = [sys.executable, str(ROOT / "generate_tasks.py"), "install"]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment(home, **OFFLINE), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert literal_calls(home, tmp_path / "elsewhere", **OFFLINE) == [100, FIRST, "waiting_line_copy", 100]


@pytest.mark.slow
def test_killed_install_leaves_the_old_one_and_two_at_once_are_safe(home, changed, tmp_path):
    offline = environment(home, **OFFLINE)
    process = subprocess.Popen(changed.command("install"), cwd=changed.folder, env=offline, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(home.glob("datasets/.*.install-*/cache/parallelbench/*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list(home.glob("datasets/.*.install-*"))
    assert literal_calls(home, tmp_path / "elsewhere", DATA, **OFFLINE) == [ROWS, FIRST]

    both = [subprocess.Popen(changed.command("install"), cwd=changed.folder, env=offline) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    assert literal_calls(home, tmp_path / "elsewhere", **OFFLINE) == [ROWS, "A queue", "waiting_line_copy", 100]
    assert not list(home.rglob(".*.install-*"))


def test_metric_modules_hold_all_but_the_app_and_a_main_file_that_imports_them(tmp_path):
    (tmp_path / "parallelbench.py").write_text("class Bench(evaluate.Metric):\n    pass\n")
    (tmp_path / "scorer.py").write_text("x = 1\n")
    (tmp_path / "app.py").write_text("import gradio\n")
    modules = metric_modules(tmp_path)
    assert set(modules) == {"parallelbench", "scorer", METRIC_NAME}
    assert modules[METRIC_NAME].splitlines() == [
        "from .parallelbench import Bench",
        "from .scorer import __name__ as _",
    ]


def test_folder_without_a_metric_is_refused_before_anything_is_built(tmp_path):
    with pytest.raises(ValueError, match=r"holds no metric: parallelbench.py"):
        install(TASKS, metric=tmp_path)


def test_unknown_config_is_refused():
    with pytest.raises(ValueError, match="unknown task 'nothing'"):
        install(["nothing"])


@pytest.mark.slow
def test_metric_that_does_not_load_leaves_the_caches_as_they_were(tmp_path, monkeypatch):
    import datasets

    (tmp_path / "parallelbench.py").write_text("import evaluate\n1 / 0\nclass Bench(evaluate.Metric):\n    pass\n")
    for name in ("HF_DATASETS_CACHE", "HF_MODULES_CACHE"):
        monkeypatch.setattr(datasets.config, name, tmp_path / "home" / name)
    with pytest.raises(InstallError, match=r"metric .*ZeroDivisionError"):
        install([task_info(TASKS[0])], metric=tmp_path)
    left = {path.name for path in (tmp_path / "home").rglob("*")}
    assert left <= {"HF_DATASETS_CACHE", "HF_MODULES_CACHE", ".parallelbench.lock"}


@pytest.mark.parametrize("sign", ["*", "?", "[", "::"])
def test_cache_that_datasets_takes_for_a_pattern_is_refused_before_anything_is_written(tmp_path, monkeypatch, sign):
    import datasets

    cache = tmp_path / f"a{sign}b" / "datasets"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    with pytest.raises(ValueError, match=re.escape(f"{cache}: `datasets` takes a path with {sign!r}")):
        install(TASKS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_train_is_installed_where_it_is_asked_for_and_a_folder_of_the_name_is_warned_of(tmp_path, changed):
    home = tmp_path / "home"
    (tmp_path / "elsewhere" / "parallelbench").mkdir(parents=True)
    arguments = ["--split", "test", "--split", "train", "--rows", "5"]
    result = changed.run("install", *arguments, env=environment(home, **OFFLINE), cwd=tmp_path / "elsewhere")
    assert result.returncode == 0, result.stderr
    assert f"installed {2 * ROWS + 10} rows (test, train), 2 tasks" in result.stdout
    assert result.stderr.splitlines()[-1].endswith(f"takes the folder {tmp_path / 'elsewhere' / 'parallelbench'} first")
    code = "import datasets; print({k: v.num_rows for k, v in datasets.load_dataset('parallelbench', %r).items()})"
    rows = run_python(code % TASKS[0], environment(home, **OFFLINE), tmp_path)
    assert rows.splitlines()[-1] == f"{{'test': {ROWS}, 'train': 5}}"


def test_install_of_a_split_that_no_task_has_is_refused(tmp_path, monkeypatch):
    import datasets

    for name in ("HF_DATASETS_CACHE", "HF_MODULES_CACHE"):
        monkeypatch.setattr(datasets.config, name, tmp_path / name)
    with pytest.raises(ValueError, match=r"words_to_sentence_easy_n1 .*test"):
        install(["words_to_sentence_easy_n1"], splits=["train"])


@pytest.mark.slow
def test_both_literal_calls_work_from_a_checkout_and_caches_with_odd_names(tmp_path):
    folder = tmp_path / "a[x] ::*?ä"
    folder.mkdir()
    project = SmallProject(folder)
    # `evaluate` takes a path as it is; `datasets` only where it is no pattern.
    variables = {"HF_MODULES_CACHE": str(folder / "modules"), **OFFLINE}
    home = tmp_path / "a] ä日 #%20~{a,b}:$'&!\\"
    result = project.run("install", env=environment(home, **variables), cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert literal_calls(home, tmp_path / "elsewhere", **variables) == [ROWS, FIRST, "waiting_line_copy", 100]
