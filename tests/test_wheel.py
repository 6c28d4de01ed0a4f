"""What a wheel holds, and that what it installs works where folders of the same names lie about."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support import ROOT

PACKAGES = {"samplers", "benchmark", "hub_dataset"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling.build", reason="hatchling, which builds the wheel, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    code = "import hatchling.build, sys; print(hatchling.build.build_wheel(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder / built.stdout.splitlines()[-1]


def files_of(*folders: str) -> set[str]:
    """The files in these folders of the checkout, as paths from its top."""
    found = {path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()}
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


def test_wheel_holds_all_that_runs_and_no_other_name_at_the_top(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in held} == PACKAGES
    assert files_of(*PACKAGES) <= held
    assert {f"hub_dataset/shipped/{name}" for name in files_of("metrics", "hub_model")} <= held
    assert not [name for name in held if "__pycache__" in name]


@pytest.mark.slow
def test_installed_commands_work_where_folders_of_the_same_names_lie(wheel: Path, tmp_path: Path) -> None:
    target, here = tmp_path / "target", tmp_path / "here"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*install, str(wheel)], check=True)
    for name in (*PACKAGES, "metrics", "hub_model", "shipped", "training"):
        (here / name).mkdir(parents=True)
        (here / name / "__init__.py").write_text("raise ImportError('another package')\n", encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"PYTHONPATH": str(target), "HF_HOME": str(tmp_path / "home"), "HF_EVALUATE_OFFLINE": "1"}

    def run(program: str, *arguments: str) -> str:
        command = [sys.executable, str(target / "bin" / program), *arguments]
        result = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    assert "1 tasks are sound" in run("parallelbench-data", "check", "waiting_line_copy")
    assert "not here" not in run("parallelbench", "list", "models")
    settings = ["--task", "waiting_line_copy", "--scheduler", "confidence:k=4", "--samples", "2"]
    assert "reference" in run("parallelbench", "run", *settings)
