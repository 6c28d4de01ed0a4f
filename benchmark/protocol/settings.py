"""What one run is made of: groups of models, tasks and methods, and what else decides its numbers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from benchmark.protocol.method import Method

FORMAT = 3
#: With what the revision of a model begins that is told by its files, and not by a commit.
LOCAL_REVISION = "files:"
# What a model's record says of code and weights.
_OF_CONTENT = ("source", "weights")
#: Model, task and method: whose samples are one file for each seed.
Key = tuple[str, str, Method]


@dataclass(frozen=True, slots=True)
class Group:
    """Every one of these models is run on every one of these tasks with every one of these methods.

    `new_tokens` None means the default: as many as the task, and the model, take.
    """

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    methods: tuple[Method, ...]
    new_tokens: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The group as it is written to a run's settings."""
        return {
            "models": list(self.models),
            "tasks": list(self.tasks),
            "methods": list(map(str, self.methods)),
            "new_tokens": self.new_tokens,
        }

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Group:
        """The group that was written as `entry`; raises `ValueError` if none was."""
        keys = ("models", "tasks", "methods")
        lists: list[Any] = [entry.get(key) if isinstance(entry, Mapping) else None for key in keys]
        if not all(isinstance(part, list) and all(isinstance(name, str) for name in part) for part in lists):
            raise ValueError(f"{entry!r} is not a group; expected lists of names as models, tasks and methods")
        models, tasks, methods = lists
        return cls(tuple(models), tuple(tasks), tuple(map(Method.parse, methods)), entry.get("new_tokens"))


def default_new_tokens(model: Any, rows: Iterable[Mapping[str, Any]]) -> int:
    """Tokens that a model generates for these rows where no number is given: as many as the rows' task has in the
    protocol, or as the model's answers take at least, whichever is more."""
    least: int = max(model.answer_length or 0, *(row["max_new_tokens"] for row in rows))
    return least


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Everything that decides the numbers of a run.

    Every setting is run once with each of the `seeds`. `checksums` holds task → SHA-256 of its rows; `model_records`
    has name → what tells a model from others of its name; `sources` task → where a task of the user's own comes from;
    `kinds` task → which closed forms hold for it (`benchmark.theory.kind_of_rows`).
    """

    groups: tuple[Group, ...]
    samples: int | None
    seeds: tuple[int, ...]
    temperature: float | None
    checksums: dict[str, str]
    model_records: dict[str, dict[str, Any]] = field(default_factory=dict)
    sources: dict[str, dict[str, str]] = field(default_factory=dict)
    kinds: dict[str, str | None] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        """Names in the order in which they first appear."""
        return _in_order(group.models for group in self.groups)

    @property
    def tasks(self) -> list[str]:
        """Names in the order in which they first appear."""
        return _in_order(group.tasks for group in self.groups)

    @property
    def methods(self) -> list[Method]:
        """Methods in the order in which they first appear."""
        return _in_order(group.methods for group in self.groups)

    def methods_of(self, model: str, task: str) -> list[Method]:
        """The methods that a model is run with on a task."""
        return _in_order(group.methods for group in self.groups if model in group.models and task in group.tasks)

    def new_tokens(self, model: Any, task: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Tokens that a model generates for these rows: what the run says, else what the task and the model need."""
        given = [group.new_tokens for group in self.groups if model.name in group.models and task in group.tasks]
        return next(iter(given), None) or default_new_tokens(model, rows)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON, without what may differ between two sittings of the same run."""
        import hub_dataset

        return {
            "format": FORMAT,
            "models": [self._model_entry(name) for name in self.models],
            "groups": [group.as_dict() for group in self.groups],
            "schedulers": {name: describe_scheduler(name) for name in _in_order([[m.name for m in self.methods]])},
            "samples": self.samples,
            "seeds": list(self.seeds),
            "temperature": self.temperature,
            "data": {"version": hub_dataset.DATA_VERSION, "checksums": self.checksums}
            | ({"sources": self.sources} if self.sources else {}),
            "kinds": self.kinds,
            "parallelbench": package_version(),
        }

    def _model_entry(self, name: str) -> str | dict[str, Any]:
        record = self.model_records.get(name)
        return {"name": name, **record} if record else name

    @property
    def directory_name(self) -> str:
        """A name that two runs share exactly if the same was asked for.

        What may have changed since, such as weights or sources, is not part of it: that is decoded again, see
        `origin_of`.
        """
        asked = {
            "groups": [group.as_dict() for group in self.groups],
            "models": {name: asked_of_model(record) for name, record in self.model_records.items()},
            "samples": self.samples,
            "seeds": list(self.seeds),
            "temperature": self.temperature,
        }
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:10]
        models = re.sub(r"[^A-Za-z0-9.-]+", "-", "+".join(self.models)).strip("-.")[:60]
        seeds = f"seed{self.seeds[0]}" if len(self.seeds) == 1 else f"seeds{self.seeds[0]}-{self.seeds[-1]}"
        return f"{models}-{len(self.tasks)}tasks-{len(self.methods)}methods-{seeds}-{digest}"


def asked_of_model(record: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a model's record that the user asked for, without what may change where it lies."""
    local = str(record.get("revision")).startswith(LOCAL_REVISION)
    return {key: record[key] for key in record if key not in (*_OF_CONTENT, *(("revision",) if local else ()), "name")}


def origin_of(settings: Mapping[str, Any], model: str, task: str, method: Method) -> dict[str, Any]:
    """What the samples of a run depend on beside model, task, question, method and seed, from its settings on disk.

    Samples of another origin are other samples. The metric is not part of it, as answers can be scored again.
    """
    records = {entry["name"]: entry for entry in settings["models"] if not isinstance(entry, str)}
    record: Mapping[str, Any] = records.get(model, {})
    return {
        "parallelbench": settings.get("parallelbench"),
        "temperature": settings.get("temperature"),
        "new_tokens": settings.get("new_tokens", {}).get(model, {}).get(task),
        "model": {key: value for key, value in record.items() if key != "name"},
        "scheduler": settings["schedulers"][method.name].get("source", {}),
    }


def describe_scheduler(name: str) -> dict[str, Any]:
    """What a report must know of a scheduler whose class may not be there any more (see `UnmaskingScheduler`), and
    hashes of its source."""
    from benchmark.protocol.method import find_class
    from benchmark.protocol.operating_points import OPERATING_POINTS
    from benchmark.protocol.user_code import class_sources

    if name in OPERATING_POINTS:
        return {"speed_parameter": None, "adaptive": False, "blocks_follow_k": False}
    found = find_class(name)
    keys = ("speed_parameter", "adaptive", "blocks_follow_k")
    return {**{key: getattr(found, key) for key in keys}, "source": class_sources(found)}


def group_methods(
    models: Iterable[str], methods: Mapping[str, list[Method]], new_tokens: int | None = None
) -> list[Group]:
    """Groups for task → methods: tasks that have the same methods are one."""
    tasks: dict[tuple[Method, ...], list[str]] = {}
    for task, of_task in methods.items():
        tasks.setdefault(tuple(of_task), []).append(task)
    return [Group(tuple(models), tuple(names), found, new_tokens) for found, names in tasks.items() if found]


def package_version() -> str:
    """The version of the installed distribution."""
    from importlib.metadata import version

    return version("parallelbench")


def model_names(settings: Mapping[str, Any]) -> list[str]:
    """Names of the models of a run's settings as they are on disk; an entry is a name or an object with a `name`."""
    return [entry if isinstance(entry, str) else entry["name"] for entry in settings["models"]]


def settings_groups(settings: Mapping[str, Any]) -> list[Group]:
    """The groups of a run's settings as they are on disk."""
    return [Group.from_dict(entry) for entry in settings["groups"]]


def settings_keys(groups: Iterable[Group]) -> list[Key]:
    """Every (model, task, method) of these groups once, in the order in which models, tasks and methods appear."""
    groups = list(groups)
    wanted = {key for group in groups for key in product(group.models, group.tasks, group.methods)}
    models, tasks = _in_order(group.models for group in groups), _in_order(group.tasks for group in groups)
    methods = _in_order(group.methods for group in groups)
    return [key for key in product(models, tasks, methods) if key in wanted]


def _in_order(parts: Iterable[Iterable[Any]]) -> list[Any]:
    """Everything once, in the order in which it first appears."""
    return list(dict.fromkeys(entry for part in parts for entry in part))
