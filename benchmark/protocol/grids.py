"""Grids: files that say which models are run on which tasks with which methods; read, narrowed and expanded here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, field_validator

from benchmark.protocol.method import POWERS_OF_TWO, expand
from benchmark.protocol.questions import resolve_tasks
from benchmark.protocol.settings import Group, group_methods

FOLDER = Path(__file__).resolve().parent / "grids"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class GridGroup(_Strict):
    """Tasks that are run with the same methods.

    Attributes:
        tasks: names, patterns (`waiting_line_*`) or groups (`waiting_line`).
        methods: as `--scheduler` takes them.
        models: in place of the grid's.
        new_tokens: tokens of an answer; None means the default, as many as the task and the model take.
        block_length: of the methods that name none: a number, a list, or `powers_of_two`.
        needs: what must be there before this can be run; such a group is counted and listed, and not run. Without
            methods, each of its models is one run a task.
    """

    tasks: list[str] = Field(min_length=1)
    methods: list[str] = []
    models: list[str] | None = None
    new_tokens: PositiveInt | None = None
    block_length: Any = None
    needs: str | None = None

    @field_validator("tasks")
    @classmethod
    def _known(cls, tasks: list[str]) -> list[str]:
        resolve_tasks(tasks)
        return tasks

    @field_validator("block_length")
    @classmethod
    def _length(cls, value: Any) -> Any:
        entries = value if isinstance(value, list) and value else [value]
        if value is not None and value != POWERS_OF_TWO and not all(type(n) is int and n > 0 for n in entries):
            raise ValueError(f"should be a number of tokens, a list of such numbers, or {POWERS_OF_TWO}")
        return value


class Grid(_Strict):
    """What a grid file holds; `samples` None means all questions of a task."""

    about: str = ""
    models: list[str] = Field(min_length=1)
    samples: PositiveInt | None = None
    groups: list[GridGroup] = Field(min_length=1)

    def narrowed(
        self,
        *,
        models: Sequence[str] = (),
        tasks: Sequence[str] = (),
        schedulers: Sequence[str] = (),
        block_length: int | None = None,
        new_tokens: int | None = None,
        samples: int | None = None,
        within: bool = True,
    ) -> Grid:
        """The grid with what a user named in place of its own values; what is not named stays.

        Args:
            models: take the place of the grid's; of groups with models of their own, those that are named stay.
            tasks: names, patterns or groups; of the grid's tasks, those that are named stay.
            schedulers: take the place of the methods.
            block_length, new_tokens, samples: take the place of the grid's.
            within: False lets `tasks` take the place of the grid's, whatever they are.

        Raises:
            ValueError: a task is unknown, or not in the grid.
        """
        wanted = resolve_tasks(list(tasks)) if tasks else None
        groups = []
        for group in self.groups:
            own = group.models
            changes: dict[str, Any] = {}
            if models and own is not None:
                changes["models"] = [name for name in own if name in models]
            if wanted is not None:
                of_group = resolve_tasks(group.tasks)
                changes["tasks"] = [name for name in wanted if name in of_group] if within else wanted
            if schedulers and (group.methods or not group.needs):
                changes["methods"] = list(schedulers)
            changes |= {"block_length": block_length} if block_length is not None else {}
            changes |= {"new_tokens": new_tokens} if new_tokens is not None else {}
            if changes.get("models") != [] and changes.get("tasks") != [] and (group.methods or not schedulers):
                groups.append(group.model_copy(update=changes))
        missing = [name for name in wanted or () if not any(name in resolve_tasks(group.tasks) for group in groups)]
        if missing:
            raise ValueError(f"task {missing[0]!r} is not in this grid, or not with these models and schedulers")
        if not groups:
            raise ValueError("nothing of this grid is left with these models and schedulers")
        update = {"models": list(models) or self.models, "samples": samples or self.samples, "groups": groups}
        return self.model_copy(update=update)


@dataclass(frozen=True, slots=True)
class Part:
    """A group of a run, or one that cannot be run yet (`needs` says why; without methods it is a run for each task)."""

    group: Group
    needs: str | None = None

    @property
    def runs(self) -> int:
        """How many (model, task, method) it is."""
        return len(self.group.models) * len(self.group.tasks) * max(1, len(self.group.methods))


def grid_names() -> list[str]:
    """The grids that come with the benchmark."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_grid(name: str) -> Grid:
    """The grid of this name, or in the file of this name.

    Raises:
        ValueError: there is none, or something in it is wrong; the line names file, key and value.
    """
    from hub_dataset.yaml_files import read_mapping, shorten

    path = FOLDER / f"{name}.yaml" if name in grid_names() else Path(name)
    if not path.is_file():
        raise ValueError(f"unknown grid {name!r}; known are {', '.join(grid_names())}, or name a YAML file")
    try:
        return Grid.model_validate(read_mapping(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        reason = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        value = "" if first["type"] == "missing" else f" (value {shorten(first['input'])})"
        raise ValueError(f"{path.name}: {key}: {reason}{value}") from None


def expand_grid(grid: Grid, answer_length: Callable[[str], int | None]) -> list[Part]:
    """What a grid stands for, in its order.

    Args:
        grid: as it was read.
        answer_length: model → tokens that its answers take at least, or None.

    Raises:
        ValueError: a method cannot be read, a task would be run with two numbers of new tokens, or nothing is left.
    """
    import hub_dataset

    parts: list[Part] = []
    lengths: dict[tuple[str, str, str | None], int | None] = {}
    for number, group in enumerate(grid.groups):
        tasks = resolve_tasks(group.tasks)
        models = list(dict.fromkeys(grid.models if group.models is None else group.models))
        for model in models:
            for task in tasks:
                known = lengths.setdefault((model, task, group.needs), group.new_tokens)
                if known != group.new_tokens:
                    raise ValueError(f"{task} is run with {known} and with {group.new_tokens} new tokens; take one")
        if not group.methods:
            if group.needs is None:
                raise ValueError(f"groups.{number}.methods: there are none; name at least one")
            parts.append(Part(Group(tuple(models), tuple(tasks), (), group.new_tokens), group.needs))
            continue
        least = max(answer_length(model) or 0 for model in models)
        tokens = {t: group.new_tokens or max(least, hub_dataset.task_info(t).max_new_tokens) for t in tasks}
        methods = {count: _methods(group, number, count) for count in set(tokens.values())}
        of_task = {task: methods[tokens[task]] for task in tasks}
        parts.extend(Part(found, group.needs) for found in group_methods(models, of_task, group.new_tokens))
    return parts


def _methods(group: GridGroup, number: int, new_tokens: int) -> list[Any]:
    methods = []
    for place, text in enumerate(group.methods):
        try:
            methods.extend(expand(text, new_tokens, group.block_length))
        except ValueError as error:
            raise ValueError(f"groups.{number}.methods.{place}: {error}") from None
    return list(dict.fromkeys(methods))
