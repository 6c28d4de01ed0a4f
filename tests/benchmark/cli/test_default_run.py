"""The run that nobody configured: the reference model beside the ideal one on a selection, or the ideal one alone."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from support import call
from tiny_models import save_reference

import hub_dataset
from benchmark.models import default_models, load_model, reference
from benchmark.protocol import grids
from benchmark.protocol.method import Method
from benchmark.protocol.settings import model_names
from benchmark.store.runs import RunStore

SELECTION = """
models: [ideal:reference, reference]
samples: 2
groups:
  - tasks: [waiting_line_copy, waiting_line_shuffle]
    methods: [random:k=64, threshold:threshold=0.01]
"""


@pytest.fixture
def here(elsewhere: Path, without_report: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny reference model in the place of the real one, and a selection as tiny."""
    save_reference(elsewhere / "weights")
    monkeypatch.setattr(reference, "DIRECTORY", elsewhere / "weights")
    monkeypatch.setattr(reference, "ANSWER_LENGTH", 128)
    shutil.copytree(grids.FOLDER, elsewhere / "grids")
    (elsewhere / "grids" / "quick.yaml").write_text(SELECTION)
    monkeypatch.setattr(grids, "FOLDER", elsewhere / "grids")
    return elsewhere


@pytest.fixture
def absent(elsewhere: Path, without_report: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(reference, "DIRECTORY", elsewhere / "nowhere")
    return elsewhere


def test_the_reference_model_runs_beside_the_ideal_one_in_its_tokens(here: Path) -> None:
    result = call("run", "--output", "run")
    assert result.exit_code == 0, result.output
    store = RunStore("run")
    settings = store.read_settings()
    assert model_names(settings) == ["ideal:reference", "reference"]
    tasks = ["waiting_line_copy", "waiting_line_shuffle"]
    assert [task for group in settings["groups"] for task in group["tasks"]] == tasks
    for model in model_names(settings):
        for task in tasks:
            for method in map(Method.parse, ("random:k=64", "threshold:threshold=0.01")):
                assert [row["num_tokens"] for row in store.read_samples(model, task, method)] == [128, 128]
            assert settings["new_tokens"][model][task] == 128, "as the samples have it"
    entries = {entry["name"]: entry for entry in settings["models"]}
    assert entries["reference"]["answer_length"] == entries["ideal:reference"]["answer_length"] == 128
    assert entries["reference"]["revision"] == entries["ideal:reference"]["revision"]
    assert "all 8 settings are on disk" in call("run", "--output", "run").stdout


def test_what_is_named_takes_the_place_of_that_part_of_the_selection(here: Path) -> None:
    arguments = ["--task", "waiting_line_sort", "--scheduler", "random:k=128", "--samples", "3", "--output", "run"]
    assert call("run", *arguments).exit_code == 0
    store = RunStore("run")
    for model in ("ideal:reference", "reference"):
        assert len(store.read_samples(model, "waiting_line_sort", Method.parse("random(k=128)"))) == 3


def test_without_its_weights_the_ideal_model_runs_with_one_line_on_it(absent: Path) -> None:
    arguments = ["--task", "waiting_line_copy", "--scheduler", "random:k=32", "--samples", "2", "--output", "run"]
    result = call("run", *arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].startswith("the reference model is not here (no weights in ")
    assert model_names(RunStore("run").read_settings()) == ["ideal"]
    assert default_models() == ["ideal"]
    with pytest.raises(ValueError, match="the reference model is not here"):
        load_model("reference")


def wanted(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[list[str], int, int | None]:
    """Tasks, number of settings and samples of what a command would run, without running it."""
    seen: list[Any] = []

    def stop(models: Any, rows: Any, settings: Any, *more: Any) -> None:
        seen.append(settings)
        raise ValueError("seen enough")

    monkeypatch.setattr("benchmark.cli.run.check_models", stop)
    assert "seen enough" in call("run", *arguments).stderr
    return seen[0].tasks, len(seen[0].methods), seen[0].samples


def test_full_takes_the_whole_protocol(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, settings, samples = wanted(monkeypatch, "--full")
    assert tasks == hub_dataset.default_task_names()
    assert settings > 50
    assert samples is None
    assert wanted(monkeypatch, "--model", "ideal")[0] == tasks
    assert wanted(monkeypatch, "--model", "reference") == (tasks, settings, None)
    assert wanted(monkeypatch)[1:] == (2, 2)


def test_the_list_of_models_names_families_sizes_licences_and_memory(here: Path) -> None:
    shown = call("list", "models").stdout
    for expected in (
        "ideal:NAME",
        "reference",
        "GSAI-ML/LLaDA-8B-Instruct",
        "8 B",
        "16 GB",
        "mit",
        "licence",
        "memory",
    ):
        assert expected in shown
    (line,) = [line for line in shown.splitlines() if line.strip().startswith("reference")]
    assert f"{(reference.parameters() or 0) / 1e6:.1f} M" in line
    assert "Efficient-Large-Model/Fast_dLLM_v2_7B" in shown, "no name is cut"


def test_the_list_of_models_tells_a_licence_for_research_and_one_that_was_not_read(here: Path) -> None:
    shown = call("list", "models").stdout
    licences = {line.split()[0]: line.split()[-1] for line in shown.splitlines() if "/" in line and " GB " in line}
    assert licences["apple/DiffuCoder-7B-cpGRPO"] == "apple-amlr"
    assert licences["Gen-Verse/TraDo-8B-Instruct"] == "mit"
    assert "apple-amlr: for research only" in shown
    (line,) = [line for line in shown.splitlines() if line.strip().startswith("GSAI-ML/LLaDA-1.5")]
    assert line.rstrip().endswith("not read")
    assert "not read: on no page" in shown
