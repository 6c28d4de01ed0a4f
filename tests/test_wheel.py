"""What a wheel holds: all that is imported, and the reference model with whatever of it lies in `hub_model/`."""

import shutil
import tomllib
import zipfile
from pathlib import Path

import pytest
from support import ROOT


def test_everything_that_runs_is_in_the_wheel() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert {"samplers", "benchmark", "hub_dataset"} <= packages
    assert set(included) == packages | {"metrics", "hub_model", "generate_tasks.py"}


def test_a_wheel_brings_the_weights_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = pytest.importorskip("hatchling.build", reason="hatchling, which builds the wheel, is not installed")
    for name in ("pyproject.toml", "README.md", "LICENSE", "generate_tasks.py"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "hub_model", tmp_path / "hub_model")
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "hub_model" / name).write_bytes(b"{}")
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(tmp_path / build.build_wheel(str(tmp_path))) as wheel:
        held = set(wheel.namelist())
    assert {f"hub_model/{path.name}" for path in (tmp_path / "hub_model").iterdir()} <= held
    assert {"hub_model/model.safetensors", "hub_model/tokenizer.json", "generate_tasks.py"} <= held
