"""Grids: files that say which models are run on which tasks with which methods; read, narrowed and expanded here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from benchmark.protocol.method import POWERS_OF_TWO, expand, read_call
from benchmark.protocol.operating_points import OPERATING_POINTS, points_of
from benchmark.protocol.settings import Group, group_methods
from benchmark.protocol.tasks import Catalogue

FOLDER = Path(__file__).resolve().parent / "grids"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class GridGroup(_Strict):
    """Tasks that are run with the same methods.

    Attributes:
        tasks: names, patterns (`waiting_line_*`), groups (`waiting_line`) or directories with a dataset.
        methods: as `--scheduler` takes them. Models that have operating points in place of schedulers are run at those
            of them that stand here, or at their usual one.
        models: in place of the grid's.
        not_with: patterns of models that the group is not run with, because they cannot be.
        new_tokens: tokens of an answer; None means the default, as many as the task and the model take.
        block_length: of the methods that name none: a number, a list, or `powers_of_two`.
        needs: what must be there before this can be run; such a group is counted and listed, and not run. Without
            methods, each of its models is one run a task.
    """

    tasks: list[str] = Field(min_length=1)
    methods: list[str] = []
    models: list[str] | None = None
    not_with: list[str] = []
    new_tokens: PositiveInt | None = None
    block_length: Any = None
    needs: str | None = None
    # Whether the methods are the user's, who knows nothing of groups.
    _named_methods: bool = PrivateAttr(default=False)

    @field_validator("tasks")
    @classmethod
    def _known(cls, tasks: list[str], info: ValidationInfo) -> list[str]:
        (info.context or Catalogue()).resolve(tasks)
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

    def names(self, task: str, catalogue: Catalogue) -> bool:
        """Whether a group has this task."""
        return any(task in catalogue.resolve(group.tasks) for group in self.groups)

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
        catalogue: Catalogue | None = None,
    ) -> Grid:
        """The grid with what a user named in place of its own values; what is not named stays.

        Args:
            models: take the place of the grid's; of groups with models of their own, those that are named stay, and
                are run in no other group.
            tasks: names, patterns, groups or directories; of the grid's tasks, those that are named stay. A task of
                the user's own that the grid does not name is run with the methods of every group.
            schedulers: take the place of the methods.
            block_length, new_tokens, samples: take the place of the grid's.
            within: False lets `tasks` take the place of the grid's, whatever they are.
            catalogue: the tasks that can be named; by default the benchmark's.

        Raises:
            ValueError: a task is unknown, or not in the grid; or none of the models decodes with schedulers.
        """
        known = catalogue or Catalogue()
        wanted = known.resolve(tasks) if tasks else None
        added = {name for name in wanted or () if name in known.own and not self.names(name, known)}
        # Models that have groups of their own are run in these alone.
        settled = {name for group in self.groups for name in group.models or ()}
        others = [name for name in models if name not in settled]
        groups = []
        for group in self.groups:
            own = group.models
            changes: dict[str, Any] = {}
            if models and own is not None:
                changes["models"] = [name for name in own if name in models]
            elif models and not others:
                continue
            if wanted is not None:
                of_group = {*known.resolve(group.tasks), *added}
                changes["tasks"] = [name for name in wanted if name in of_group] if within else wanted
            if schedulers and (group.methods or not group.needs):
                changes["methods"] = list(schedulers)
            changes |= {"block_length": block_length} if block_length is not None else {}
            changes |= {"new_tokens": new_tokens} if new_tokens is not None else {}
            if changes.get("models") != [] and changes.get("tasks") != [] and (group.methods or not schedulers):
                changed = group.model_copy(update=changes)
                changed._named_methods = group._named_methods or "methods" in changes
                groups.append(changed)
        missing = [name for name in wanted or () if not any(name in known.resolve(group.tasks) for group in groups)]
        if missing:
            raise ValueError(f"task {missing[0]!r} is not in this grid, or not with these models and schedulers")
        if not groups:
            raise ValueError("nothing of this grid is left with these models and schedulers")
        decoding = [name for group in groups for name in group.models or models or self.models if not points_of(name)]
        if schedulers and not decoding and not any(_is_point(text) for text in schedulers):
            name = next(iter(models or self.models))
            raise ValueError(f"{name} has no scheduler; leave {schedulers[0]} out, or name {points_of(name)[0]}")
        update = {"models": others or list(models) or self.models, "samples": samples or self.samples, "groups": groups}
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


def read_grid(name: str, catalogue: Catalogue | None = None) -> Grid:
    """The grid of this name, or in the file of this name; its tasks are looked up in `catalogue`, if one is given.

    Raises:
        ValueError: there is none, or something in it is wrong; the line names file, key and value.
    """
    from hub_dataset.yaml_files import read_mapping, shorten

    path = FOLDER / f"{name}.yaml" if name in grid_names() else Path(name)
    if not path.is_file():
        raise ValueError(f"unknown grid {name!r}; known are {', '.join(grid_names())}, or name a YAML file")
    try:
        return Grid.model_validate(read_mapping(path), context=catalogue)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        reason = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        value = "" if first["type"] == "missing" else f" (value {shorten(first['input'])})"
        raise ValueError(f"{path.name}: {key}: {reason}{value}") from None


def expand_grid(
    grid: Grid, answer_length: Callable[[str], int | None], catalogue: Catalogue | None = None
) -> list[Part]:
    """What a grid stands for, in its order.

    Args:
        grid: as it was read.
        answer_length: model → tokens that its answers take at least, or None.
        catalogue: the tasks that can be named; by default the benchmark's.

    Raises:
        ValueError: a method cannot be read, a task would be run with two numbers of new tokens, or nothing is left.
    """
    known_tasks = catalogue or Catalogue()
    parts: list[Part] = []
    lengths: dict[tuple[str, str, str | None], int | None] = {}
    for number, group in enumerate(grid.groups):
        tasks = known_tasks.resolve(group.tasks)
        named = dict.fromkeys(grid.models if group.models is None else group.models)
        models = [name for name in named if not any(fnmatchcase(name, pattern) for pattern in group.not_with)]
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
        for some, texts in _by_methods(models, group.methods):
            least = max(answer_length(model) or 0 for model in some)
            tokens = {t: group.new_tokens or max(least, known_tasks[t].max_new_tokens) for t in tasks}
            methods = {count: _methods(group, number, texts, count) for count in set(tokens.values())}
            of_task = {task: methods[tokens[task]] for task in tasks}
            parts.extend(Part(found, group.needs) for found in group_methods(some, of_task, group.new_tokens))
    return parts


def _by_methods(models: Sequence[str], methods: Sequence[str]) -> list[tuple[list[str], tuple[str, ...]]]:
    """Models, and the methods that they are run with: some decode with schedulers, the others have operating points.

    Raises:
        ValueError: a model cannot be run with any of the methods, but could be with others that are named like them.
    """
    points = [text for text in methods if _is_point(text)]
    schedulers = tuple(text for text in methods if text not in points)
    divided: dict[tuple[str, ...], list[str]] = {}
    for model in models:
        own = points_of(model)
        texts = tuple(text for text in points if read_call(text)[0] in own) if own else schedulers
        if not texts and (points or not own):
            raise ValueError(f"{model} is not run with {points[0]}; name {own[0] if own else 'a scheduler'} for it")
        divided.setdefault(texts or own[:1], []).append(model)
    return [(some, texts) for texts, some in divided.items()]


def _is_point(text: str) -> bool:
    """Whether a method names an operating point; what cannot be read is left to who expands it."""
    try:
        return read_call(text)[0] in OPERATING_POINTS
    except ValueError:
        return False


def _methods(group: GridGroup, number: int, texts: Sequence[str], new_tokens: int) -> list[Any]:
    methods = []
    for text in texts:
        try:
            methods.extend(expand(text, new_tokens, group.block_length))
        except ValueError as error:
            place = "" if group._named_methods else f"groups.{number}.methods.{group.methods.index(text)}: "
            raise ValueError(f"{place}{error}") from None
    return list(dict.fromkeys(methods))
