"""The package is light until a scheduler is touched."""

import importlib
import subprocess
import sys
from typing import Any

import pytest

import samplers
import samplers.schedulers


def test_import_is_light() -> None:
    code = """
import sys
import samplers
heavy = {"torch", "diffusers", "transformers", "numpy"} & set(sys.modules)
assert not heavy, heavy
assert "EntropyScheduler" in dir(samplers)
heavy = {"torch", "diffusers", "transformers", "numpy"} & set(sys.modules)
assert not heavy, heavy
samplers.EntropyScheduler
assert {"torch", "diffusers"} <= set(sys.modules)
assert "samplers.loop.generation" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("package", [samplers, samplers.schedulers])
def test_dir_lists_exactly_the_public_names(package: Any) -> None:
    assert dir(package) == sorted(package.__all__)
    for name in package.__all__:
        assert getattr(package, name).__name__ == name


def test_name_is_looked_up_once() -> None:
    sys.modules["samplers"].__dict__.pop("EntropyScheduler", None)
    assert samplers.EntropyScheduler is samplers.EntropyScheduler
    assert "EntropyScheduler" in vars(samplers)


def test_star_import_brings_all_public_names() -> None:
    namespace: dict[str, object] = {}
    exec("from samplers import *", namespace)
    assert set(samplers.__all__) <= set(namespace)


@pytest.mark.parametrize("package", [samplers, samplers.schedulers])
def test_unknown_attribute_is_an_attribute_error(package: Any) -> None:
    name = package.__name__
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'GreedyScheduler'"):
        package.GreedyScheduler  # noqa: B018
    assert not hasattr(importlib.import_module(name), "torch")
