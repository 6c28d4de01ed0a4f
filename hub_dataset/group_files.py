"""Reads group files, such as the YAML files in `tasks/`, into checked task configs.

One file describes one group. Its keys:

- `category`, and `config_name`, a template with `{task}` and optionally `{length}` (the task's `min_length`);
- `tasks`: task → its settings; or `base`: the group file whose tasks, prompts and settings these build on;
- `settings`: for every task of the group; `variants`: a list of settings, each making one more config of every task.

What a task says goes before its variant, that before the group's `settings`, and those before the base's. A setting
that a task has no use for is refused, unless it comes from the base. A list task takes its items from one of the
built-in pools (`items`) or from the user's own (`pool`, see `pool_files`).
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Set
from functools import cache
from pathlib import Path
from typing import Any

from .generators import POSITION_TYPES, POSITIONS, TASK_TYPES, TaskType
from .pool_files import read_pool
from .sentences import VOCABULARIES
from .task_config import CATEGORIES, TaskConfig
from .text_sources import read_source
from .yaml_files import read_mapping, refuse_unknown

TASKS = Path(__file__).resolve().parent / "tasks"
# Description and prompt of the task types, for tasks that bring none.
WORDINGS = TASKS.with_name("wordings.yaml")

_GROUP_KEYS = frozenset({"base", "category", "config_name", "settings", "tasks", "variants"})
_TEXTS = frozenset({"type", "description", "prompt", "instruction", "items", "operation", "position", "vocabulary"})
# Settings that are whole numbers, with the least each may be.
_NUMBERS = {
    "min_length": 1,
    "max_length": 1,
    "shots": 0,
    "example_min_length": 1,
    "example_max_length": 1,
    "rows": 1,
    "max_new_tokens": 1,
    "blanks": 1,
    "times": 1,
    "max_number": 1,
}
_SETTINGS = _TEXTS | _NUMBERS.keys() | {"pool", "source"}
# Settings that some task types need and others have no use for.
_OPTIONAL = frozenset(
    {
        "items",
        "pool",
        "blanks",
        "times",
        "operation",
        "max_number",
        "source",
        "example_min_length",
        "example_max_length",
    }
)
# Settings that some task types can use and others cannot.
_POSSIBLE = frozenset({"vocabulary"})
_REQUIRED = ("type", "description", "prompt", "min_length", "max_length", "rows", "max_new_tokens", "shots")


def read_group(path: Path) -> dict[str, TaskConfig]:
    """The configs of one group file by name, in the file's order.

    Raises ValueError, naming file, key and value, for anything that is not a well-formed group.
    """
    group = read_mapping(path)
    refuse_unknown(path, "", group, _GROUP_KEYS)
    base: Mapping[str, Any] = {}
    if "base" in group:
        base_path = _base_path(path, group["base"])
        base = read_mapping(base_path)
        refuse_unknown(base_path, "", base, _GROUP_KEYS)
        if "base" in base:
            raise ValueError(f"{path.name}: base: {group['base']!r} has a base itself; only one level is read")

    category = group.get("category")
    if category not in CATEGORIES:
        raise ValueError(f"{path.name}: category: {category!r} is not one of {', '.join(CATEGORIES)}")
    tasks = {**_mapping(path, base, "tasks"), **_mapping(path, group, "tasks")}
    if not tasks:
        raise ValueError(f"{path.name}: tasks: there are none")
    shared = (_mapping(path, base, "settings"), _mapping(path, group, "settings"))
    variants = group.get("variants", [{}])
    if not isinstance(variants, list) or not variants or not all(isinstance(variant, dict) for variant in variants):
        raise ValueError(f"{path.name}: variants: {variants!r} is not a list of settings")

    configs: dict[str, TaskConfig] = {}
    for task, own in tasks.items():
        if not isinstance(own, dict):
            raise ValueError(f"{path.name}: tasks.{task}: {own!r} is not a mapping of settings")
        for variant in variants:
            settings = _merge(path, f"tasks.{task}", *shared, variant, own)
            # The base knows nothing of the tasks added to its own.
            inherited = shared[0].keys() - {*shared[1], *variant, *own}
            config = _make_config(path, str(task), group, settings, inherited)
            if config.name in configs:
                raise ValueError(f"{path.name}: config_name: {config.name!r} is given to two tasks")
            configs[config.name] = config
    return configs


def _base_path(path: Path, name: Any) -> Path:
    for folder in (path.parent, TASKS):
        found = folder / f"{name}.yaml"
        if found.is_file() and found.resolve() != path.resolve():
            return found
    raise ValueError(f"{path.name}: base: {name!r} is not another file beside it, nor a group of the benchmark")


def _merge(path: Path, where: str, *levels: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for level in levels:
        if "items" in level and "pool" in level:
            raise ValueError(f"{path.name}: {where}.items: {level['items']!r} and a pool are given; give one of them")
        for key, other in (("items", "pool"), ("pool", "items")):
            if key in level:
                merged.pop(other, None)
        if level.get("shots") == 0:
            for key in ("example_min_length", "example_max_length"):
                merged.pop(key, None)
        merged.update(level)
    return merged


def _make_config(
    path: Path, task: str, group: Mapping[str, Any], settings: dict[str, Any], inherited: Set[str]
) -> TaskConfig:
    where = f"tasks.{task}"
    refuse_unknown(path, f"{where}.", settings, _SETTINGS)
    for key, value in settings.items():
        _check_value(path, f"{where}.{key}", key, value)
    task_type = _task_type(path, where, settings)
    settings = {**_wordings().get(settings["type"], {}), **settings}
    for key in _REQUIRED:
        if key not in settings:
            raise ValueError(f"{path.name}: {where}.{key}: is missing")
    needed = task_type.settings | ({"example_min_length", "example_max_length"} if settings["shots"] else set())
    if "pool" in settings and "items" in needed:
        settings["pool"] = read_pool(path, f"{where}.pool", settings["pool"])
        needed = needed - {"items"} | {"pool"}
    if "source" in settings and "source" in needed:
        settings["source"] = read_source(path, f"{where}.source", settings["source"])
    for key in sorted(_OPTIONAL & needed - settings.keys()):
        raise ValueError(f"{path.name}: {where}.{key}: is missing; the task type {settings['type']} needs it")
    for key in _OPTIONAL & inherited - needed:
        settings.pop(key, None)
    for key in _POSSIBLE & inherited - task_type.optional:
        settings.pop(key, None)
    for key in sorted((_OPTIONAL & settings.keys() - needed) | (_POSSIBLE & settings.keys() - task_type.optional)):
        reason = "shots is 0" if key.startswith("example") else f"the task type {settings['type']} has no such setting"
        raise ValueError(f"{path.name}: {where}.{key}: {settings[key]!r} has no use here: {reason}")

    instruction = settings.pop("instruction", None)
    if instruction is not None:
        if "{instruction}" not in settings["prompt"]:
            raise ValueError(f"{path.name}: {where}.instruction: the prompt has no {{instruction}} to put it in")
        settings["prompt"] = settings["prompt"].replace("{instruction}", instruction)
    _check_placeholders(path, f"{where}.prompt", settings["prompt"], task_type.placeholders)

    name = _config_name(path, group, task, settings)
    origin = f"{path.name}: {where}"
    config = TaskConfig(name=name, category=group["category"], origin=origin, **settings)
    for low, high in (("min_length", "max_length"), ("example_min_length", "example_max_length")):
        if getattr(config, low) > getattr(config, high):
            value = getattr(config, low)
            raise ValueError(f"{path.name}: {where}.{low}: {value} is above {high}, {getattr(config, high)}")
    if config.vocabulary and config.vocabulary not in VOCABULARIES:
        known = ", ".join(VOCABULARIES)
        raise ValueError(f"{path.name}: {where}.vocabulary: {config.vocabulary!r} is not one of {known}")
    for key, message in task_type.limits(config):
        raise ValueError(f"{path.name}: {where}.{key}: {message}")
    return config


def _task_type(path: Path, where: str, settings: dict[str, Any]) -> TaskType:
    kind = settings.get("type")
    if kind is None:
        raise ValueError(f"{path.name}: {where}.type: is missing")
    position = settings.pop("position", None)
    if kind in POSITION_TYPES:
        if position not in POSITIONS:
            found = "is missing" if position is None else f"{position!r} is not one of {', '.join(POSITIONS)}"
            raise ValueError(f"{path.name}: {where}.position: {found}; the task type {kind} needs it")
        kind = settings["type"] = f"{kind}_{position}"
    elif position is not None:
        reason = f"the task type {kind} has no such setting"
        raise ValueError(f"{path.name}: {where}.position: {position!r} has no use here: {reason}")
    if kind not in TASK_TYPES:
        known = ", ".join([*TASK_TYPES, *POSITION_TYPES])
        raise ValueError(f"{path.name}: {where}.type: {kind!r} is not one of {known}")
    return TASK_TYPES[kind]


def _config_name(path: Path, group: Mapping[str, Any], task: str, settings: Mapping[str, Any]) -> str:
    template = group.get("config_name")
    if not isinstance(template, str) or "{task}" not in template:
        raise ValueError(f"{path.name}: config_name: {template!r} is not a template with {{task}}")
    name = template.replace("{task}", task).replace("{length}", str(settings["min_length"]))
    if not name.isascii() or not name.replace("_", "").isalnum() or name != name.lower():
        raise ValueError(f"{path.name}: config_name: {name!r} has characters other than a-z, 0-9 and _")
    return name


def _check_value(path: Path, where: str, key: str, value: Any) -> None:
    if key in _NUMBERS:
        if not isinstance(value, int) or isinstance(value, bool) or value < _NUMBERS[key]:
            raise ValueError(f"{path.name}: {where}: {value!r} is not a whole number of at least {_NUMBERS[key]}")
    elif key in _TEXTS and (not isinstance(value, str) or not value.strip()):
        raise ValueError(f"{path.name}: {where}: {value!r} is blank or not a string")


def _check_placeholders(path: Path, where: str, prompt: str, wanted: frozenset[str]) -> None:
    try:
        found = {field for _, field, _, _ in string.Formatter().parse(prompt) if field is not None}
    except ValueError as error:
        raise ValueError(f"{path.name}: {where}: {error}") from None
    for name in sorted(found - wanted):
        allowed = ", ".join(f"{{{field}}}" for field in sorted(wanted))
        raise ValueError(f"{path.name}: {where}: {{{name}}} is unknown here; this task fills {allowed}")
    for name in sorted(wanted - found):
        raise ValueError(f"{path.name}: {where}: {{{name}}} is missing")


def _mapping(path: Path, group: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = group.get(key, {})
    if not isinstance(value, dict):
        raise ValueError(f"{path.name}: {key}: {value!r} is not a mapping")
    return value


@cache
def _wordings() -> dict[str, Any]:
    return read_mapping(WORDINGS)
