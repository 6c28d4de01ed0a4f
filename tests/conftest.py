"""What holds for the whole suite: one thread per process, memory that is kept between tests, places to run in."""

import os

# Workers run side by side; operations of theirs that start threads of their own only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest

from benchmark.engine.allocator import keep_freed_memory

keep_freed_memory()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def without_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, leave out the plots, which take longer than a small run."""
    monkeypatch.setattr("benchmark.cli.run.show_report", lambda directory: None)
