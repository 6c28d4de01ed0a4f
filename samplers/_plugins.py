"""What installed packages bring along as entry points, looked up once: reading them all takes tens of milliseconds."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points


def plugins(group: str) -> tuple[EntryPoint, ...]:
    """The entry points of a group. What is installed while a process runs is found where it lies on a new path."""
    return _plugins(group, tuple(sys.path))


@lru_cache(maxsize=8)
def _plugins(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))
