"""Tasks of one's own beside the benchmark's: found by name, pattern and directory, and kept apart from others."""

import hashlib
import json
from pathlib import Path

import pytest
from support import OWN_TASKS

import hub_dataset
from benchmark.protocol.grids import expand_grid, read_grid
from benchmark.protocol.tasks import Catalogue
from hub_dataset.writing import build_dataset

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def catalogue(elsewhere: Path) -> Catalogue:
    (elsewhere / "my_tasks.yaml").write_text(OWN_TASKS, encoding="utf-8")
    return Catalogue(Path("my_tasks.yaml"))


def test_tasks_of_a_file_are_known_beside_the_benchmarks(catalogue: Catalogue) -> None:
    assert catalogue.own == ["my_tools", "my_sums"]
    assert catalogue.resolve(["my_*", "waiting_line/copy"]) == ["my_tools", "my_sums", "waiting_line_copy"]
    task = catalogue["my_tools"]
    assert (task.rows, task.max_new_tokens, len(task.load()), len(task.load(2))) == (6, 24, 6, 2)
    digest = hashlib.sha256(OWN_TASKS.encode()).hexdigest()
    assert task.source == {"config": "my_tasks.yaml", "sha256": digest}
    assert catalogue["waiting_line_copy"].source is None


def test_grids_take_them_where_they_are_named_or_in_every_group(catalogue: Catalogue) -> None:
    text = "models: [ideal]\ngroups:\n  - tasks: [my_tools]\n    methods: [confidence]\n"
    Path("grid.yaml").write_text(text, encoding="utf-8")
    (part,) = expand_grid(read_grid("grid.yaml", catalogue), lambda model: None, catalogue)
    assert part.group.tasks == ("my_tools",)
    assert max(method.parameters["k"] for method in part.group.methods) == 16
    with pytest.raises(ValueError, match=r"grid.yaml.*my_tools"):
        read_grid("grid.yaml")
    quick = read_grid("quick").narrowed(tasks=["my_sums"], catalogue=catalogue)
    assert {task for group in quick.groups for task in group.tasks} == {"my_sums"}


def test_a_directory_names_its_tasks(catalogue: Catalogue) -> None:
    row = catalogue["my_tools"].load(1)[0]
    Path("folder").mkdir()
    Path("folder/data.jsonl").write_text(json.dumps({**row, "task": "other"}), encoding="utf-8")
    assert catalogue.resolve(["folder"]) == catalogue.resolve(["./folder", "other"]) == ["other"]
    assert catalogue["other"].load() == [{**row, "task": "other"}]
    assert (catalogue["other"].source or {})["directory"] == "folder"


def test_a_directory_with_rows_of_the_benchmark_is_the_benchmarks_task() -> None:
    build_dataset(Path("built"), ["waiting_line_copy"])
    catalogue = Catalogue()
    assert catalogue.resolve(["./built"]) == ["waiting_line_copy"]
    assert catalogue.own == []


def test_other_rows_under_a_known_name_are_refused(catalogue: Catalogue) -> None:
    for name in ("waiting_line_copy", "my_tools"):
        rows = catalogue[name].load()[:3] if name == "my_tools" else hub_dataset.build_rows(name)[:3]
        Path("other").mkdir(exist_ok=True)
        Path("other/test.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        with pytest.raises(ValueError, match=rf"other.*{name}.*other rows") as error:
            Catalogue(Path("my_tasks.yaml")).resolve(["./other"])
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("pattern", ["", "my_tool", "./nowhere", "/no/such/place"])
def test_what_does_not_exist_is_named(catalogue: Catalogue, pattern: str) -> None:
    with pytest.raises(ValueError, match="unknown task") as error:
        catalogue.resolve([pattern])
    assert repr(pattern) in str(error.value)
