"""What holds for the whole suite: one thread per process, memory that is kept between tests, places to run in."""

import os

# Workers run side by side; operations of theirs that start threads of their own only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.engine.allocator import keep_freed_memory

keep_freed_memory()


def pytest_collection_finish() -> None:
    """Keep modules and tests, of which there are many and none goes away, out of the search for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def without_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, leave out the plots, which take longer than a small run."""
    monkeypatch.setattr("benchmark.cli.run.show_report", lambda directory, published: None)


@pytest.fixture
def own_modules(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with the modules of `own_code`, importable from nowhere else."""
    import own_code

    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr("benchmark.protocol.user_code._named", {})
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    own_code.write_modules(elsewhere)
    yield elsewhere
    own_code.forget_modules()
