"""The allocator's settings: that freed memory is kept, and that other systems are left alone."""

import ctypes
import platform
import subprocess
import sys

import pytest

from benchmark.engine import allocator as memory

# Each round writes to a fresh 8 MiB and frees it; where the memory is handed back, all of its pages fault again.
_COUNT_PAGE_FAULTS = """
import resource, sys
if sys.argv[1] == "keep":
    from benchmark.engine.allocator import keep_freed_memory
    keep_freed_memory()
b"x" * (8 << 20)
size, before = 8 << 20, resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    b"x" * size
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_freed_memory_is_used_again() -> None:
    faults = {
        mode: int(subprocess.check_output([sys.executable, "-c", _COUNT_PAGE_FAULTS, mode])) for mode in ("keep", "not")
    }
    assert faults["keep"] * 5 < faults["not"]


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} was opened")

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    memory.keep_freed_memory()


@pytest.mark.parametrize("library", [OSError("no libc.so.6"), object()], ids=["absent", "without mallopt"])
def test_a_linux_without_glibc_is_no_error(library: object, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def open_library(name: str) -> object:
        opened.append(name)
        if isinstance(library, OSError):
            raise library
        return library

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", open_library)
    memory.keep_freed_memory()
    assert opened == ["libc.so.6"]
