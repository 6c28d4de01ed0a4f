"""The tasks that a run may name: the benchmark's, those of a user's YAML file, and those of datasets in directories."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.protocol.questions import Row, resolve_tasks

if TYPE_CHECKING:
    from hub_dataset import TaskConfig


@dataclass(frozen=True, slots=True)
class Task:
    """What a run has to know of a task before it asks its questions.

    Attributes:
        name: how results name it.
        rows: questions of its test split.
        max_new_tokens: tokens of an answer, where neither the user nor the model says more.
        source: where a task of the user's own comes from, for the settings of a run; None: it is the benchmark's.
    """

    name: str
    rows: int
    max_new_tokens: int
    source: Mapping[str, str] | None = None
    _from: TaskConfig | Sequence[Row] = field(default=(), repr=False, compare=False)

    def load(self, samples: int | None = None) -> list[Row]:
        """The first `samples` rows (None: all)."""
        import hub_dataset

        of_config = isinstance(self._from, hub_dataset.TaskConfig)
        rows = hub_dataset.build_rows(self._from) if of_config else list(self._from)  # type: ignore[arg-type]
        return rows if samples is None else rows[:samples]


class Catalogue:
    """All tasks that can be named; directories enter theirs when they are first named.

    Args:
        config: a YAML file with tasks of the user's own, in the form that `generate_tasks.py build --config` takes.

    Raises:
        ValueError: something in the file is wrong.
        OSError: it cannot be read.
    """

    def __init__(self, config: Path | None = None) -> None:
        self._own: dict[str, Task] = {}
        self._directories: dict[Path, list[str]] = {}
        if config is not None:
            from hub_dataset.custom import read_custom_tasks

            source = {"config": config.name, "sha256": hashlib.sha256(config.read_bytes()).hexdigest()}
            for task in read_custom_tasks(config).values():
                self._own[task.name] = Task(task.name, task.rows, task.max_new_tokens, source, task)

    @property
    def own(self) -> list[str]:
        """Names of the user's own tasks that are known by now."""
        return list(self._own)

    def __getitem__(self, name: str) -> Task:
        """The task of a name that `resolve` gave."""
        import hub_dataset

        if name in self._own:
            return self._own[name]
        task = hub_dataset.task_info(name)
        return Task(task.name, task.rows, task.max_new_tokens, None, task)

    def resolve(self, patterns: Sequence[str]) -> list[str]:
        """Names for what a user wrote: names, patterns or groups, as `resolve_tasks` reads them, or directories.

        A name goes before a directory of that name, which `./` in front of it tells apart.

        Raises:
            ValueError: a pattern fits nothing, a directory holds no dataset, or a task of its name that has other rows.
        """
        if not patterns:
            return resolve_tasks([])
        found: list[str] = []
        for pattern in patterns:
            try:
                names = resolve_tasks([pattern], self.own)
            except ValueError as error:
                path = Path(pattern).expanduser()
                if not pattern.strip() or not path.is_dir():
                    if pattern.startswith((".", "~", os.sep)):
                        raise ValueError(f"unknown task {pattern!r}: there is no such directory") from None
                    raise error from None
                names = self._of_directory(path)
            found.extend(name for name in names if name not in found)
        return found

    def _of_directory(self, path: Path) -> list[str]:
        key = path.resolve()
        if key not in self._directories:
            from hub_dataset.reading import read_directory

            for name, rows in read_directory(path).items():
                self._enter(path, name, rows)
                self._directories.setdefault(key, []).append(name)
        return self._directories[key]

    def _enter(self, path: Path, name: str, rows: Sequence[Row]) -> None:
        """Make a directory's task known, unless it is already: then its rows must be the same."""
        import hub_dataset

        if name in self._own or name in hub_dataset.config_names():
            known = self[name]
            if hub_dataset.checksum(known.load()) == hub_dataset.checksum(rows):
                return
            source = known.source or {}
            whose = f"that of {next(iter(source.values()))}" if source else "the benchmark's"
            raise ValueError(
                f"{path}: task {name!r} has other rows than {whose} of this name; give it another name in its column "
                "`task`"
            )
        source = {"directory": path.resolve().name, "sha256": hub_dataset.checksum(rows)}
        self._own[name] = Task(name, len(rows), rows[0]["max_new_tokens"], source, rows)
