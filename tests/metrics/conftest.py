"""The loaded metric, and the modules it consists of, for every test of this folder."""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from support import ROOT


@pytest.fixture(scope="session")
def metric(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The metric as a user gets it; rows stored with `add` go to a folder of the test run."""
    import evaluate

    path = ROOT / "metrics" / "parallelbench"
    return evaluate.load(str(path), cache_dir=str(tmp_path_factory.mktemp("metrics")))


@pytest.fixture(scope="session")
def part(metric: Any) -> Callable[[str], ModuleType]:
    """Gives a module of the loaded metric by name, such as `reading`."""
    package = type(metric).__module__.rpartition(".")[0]
    return lambda name: importlib.import_module(f"{package}.{name}")
