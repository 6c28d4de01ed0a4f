"""The samples of runs as one table of pandas, whichever format they were written in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

_KEY = ("model", "task", "method", "seed")


def load_samples(*directories: str | Path | Iterable[str | Path]) -> pandas.DataFrame:
    """All samples of a run, or of several, that its settings ask for and that are on disk, a line each.

    Args:
        directories: of runs, finished or not, one by one or in lists; settings that are in several are read from the
            first that has them.

    Returns:
        `model`, `task`, `method` and `seed`, with several directories `run`, the one that a sample was read from, then
        the columns of the sample files, and a column for each score (`headline`, `score`, …; 0 to 1). What a sample
        does not have is missing.

    Raises:
        ValueError: a directory holds no run, or what is given is none.
    """
    import pandas

    from benchmark.protocol.settings import settings_groups, settings_keys
    from benchmark.store.runs import RunStore

    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    paths = [path for given in directories for path in _paths(given)]
    names = (*_KEY, "run") if len(paths) > 1 else _KEY
    for path in paths:
        store = RunStore(path)
        for model, task, method in settings_keys(settings_groups(store.read_settings())):
            for seed in store.seeds_of(model, task, method):
                key = model, task, str(method), seed
                rows = None if key in found else store.find_samples(model, task, method, seed)
                if rows is not None:
                    head = dict(zip(names, (*key, str(path)), strict=False))
                    found[key] = [{**head, **_flat(row)} for row in rows]
    lines = [row for rows in found.values() for row in rows]
    return pandas.DataFrame(lines) if lines else pandas.DataFrame(columns=list(names))


def _paths(given: str | Path | Iterable[str | Path]) -> list[Path]:
    several = [given] if isinstance(given, str | Path) or not isinstance(given, Iterable) else list(given)
    for one in several:
        if not isinstance(one, str | Path):
            raise ValueError(f"{one!r} is no directory of a run; give its path, or a list of paths")
    return list(map(Path, several))


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    return {**{key: value for key, value in row.items() if key != "scores"}, **row.get("scores", {})}
