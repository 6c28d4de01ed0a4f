"""Task configs: read from the YAML files in `tasks/`, checked, and found by name.

One file describes one group. Its keys:

- `category`, and `config_name`, a template with `{task}` and optionally `{length}` (the task's `min_length`);
- `tasks`: task → its settings; or `base`: the group file whose tasks, prompts and settings these build on;
- `settings`: for every task of the group; `variants`: a list of settings, each making one more config of every task.

What a task says goes before its variant, that before the group's `settings`, and those before the base's.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .generators import TASK_TYPES, TaskType

TASKS = Path(__file__).resolve().parent / "tasks"
# The order in which configs are listed and built; other files follow by name.
GROUPS = ("waiting_line", "puzzle", "waiting_line_n15", "case_study")
CATEGORIES = ("waiting_line", "text_writing", "puzzle", "case_study", "custom")

_GROUP_KEYS = frozenset({"base", "category", "config_name", "settings", "tasks", "variants"})
_TEXTS = frozenset({"type", "description", "prompt", "instruction", "items"})
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
}
_SETTINGS = _TEXTS | _NUMBERS.keys()
_REQUIRED = ("type", "description", "prompt", "min_length", "max_length", "rows", "max_new_tokens", "shots")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskConfig:
    """The settings of one config. Lengths are list items or the grid's size, both ends included."""

    name: str
    category: str
    type: str
    description: str
    prompt: str
    min_length: int
    max_length: int
    shots: int
    example_min_length: int = 0
    example_max_length: int = 0
    rows: int
    max_new_tokens: int
    items: str = ""
    blanks: int = 0

    @property
    def task_type(self) -> TaskType:
        """The generator's side of this config."""
        return TASK_TYPES[self.type]

    @property
    def scorer(self) -> str:
        """The scorer that this config's references name."""
        return self.task_type.scorer


def config_names() -> list[str]:
    """The names of all configs, in the order in which they are listed and built."""
    return list(_all_configs(TASKS))


def default_task_names() -> list[str]:
    """The twelve tasks whose right answers can all be enumerated: the waiting lines and the puzzles."""
    groups = _read_groups(TASKS)
    return [name for group in ("waiting_line", "puzzle") for name in groups.get(group, {})]


def task_info(config: str) -> TaskConfig:
    """The settings of a config; `waiting_line/copy` and `waiting-line-copy` mean `waiting_line_copy`.

    Raises ValueError for an unknown name.
    """
    configs = _all_configs(TASKS)
    name = config.replace("/", "_").replace("-", "_")
    if name not in configs:
        near = _nearest(name, configs)
        hint = f"did you mean {near!r}?" if near else "`python generate_tasks.py list` shows all of them"
        raise ValueError(f"unknown task {config!r}; {hint}")
    return configs[name]


def read_group(path: Path) -> dict[str, TaskConfig]:
    """The configs of one group file by name, in the file's order.

    Raises ValueError, naming file, key and value, for anything that is not a well-formed group.
    """
    group = _read_mapping(path)
    _refuse_unknown(path, "", group, _GROUP_KEYS)
    base: Mapping[str, Any] = {}
    if "base" in group:
        base_path = path.with_name(f"{group['base']}.yaml")
        if not base_path.is_file() or base_path == path:
            raise ValueError(f"{path.name}: base: {group['base']!r} is not another file beside it")
        base = _read_mapping(base_path)
        _refuse_unknown(base_path, "", base, _GROUP_KEYS)
        if "base" in base:
            raise ValueError(f"{path.name}: base: {group['base']!r} has a base itself; only one level is read")

    category = group.get("category")
    if category not in CATEGORIES:
        raise ValueError(f"{path.name}: category: {category!r} is not one of {', '.join(CATEGORIES)}")
    tasks = {**_mapping(path, base, "tasks"), **_mapping(path, group, "tasks")}
    if not tasks:
        raise ValueError(f"{path.name}: tasks: there are none")
    shared = {**_mapping(path, base, "settings"), **_mapping(path, group, "settings")}
    variants = group.get("variants", [{}])
    if not isinstance(variants, list) or not variants or not all(isinstance(variant, dict) for variant in variants):
        raise ValueError(f"{path.name}: variants: {variants!r} is not a list of settings")

    configs: dict[str, TaskConfig] = {}
    for task, own in tasks.items():
        if not isinstance(own, dict):
            raise ValueError(f"{path.name}: tasks.{task}: {own!r} is not a mapping of settings")
        for variant in variants:
            config = _make_config(path, str(task), group, {**shared, **variant, **own})
            if config.name in configs:
                raise ValueError(f"{path.name}: config_name: {config.name!r} is given to two tasks")
            configs[config.name] = config
    return configs


def _make_config(path: Path, task: str, group: Mapping[str, Any], settings: dict[str, Any]) -> TaskConfig:
    where = f"tasks.{task}"
    _refuse_unknown(path, f"{where}.", settings, _SETTINGS)
    for key in _REQUIRED:
        if key not in settings:
            raise ValueError(f"{path.name}: {where}.{key}: is missing")
    for key, value in settings.items():
        _check_value(path, f"{where}.{key}", key, value)

    task_type = TASK_TYPES.get(settings["type"])
    if task_type is None:
        raise ValueError(f"{path.name}: {where}.type: {settings['type']!r} is not one of {', '.join(TASK_TYPES)}")
    needed = task_type.settings | ({"example_min_length", "example_max_length"} if settings["shots"] else set())
    optional = {"items", "blanks", "example_min_length", "example_max_length"}
    for key in sorted(optional & needed - settings.keys()):
        raise ValueError(f"{path.name}: {where}.{key}: is missing; the task type {settings['type']} needs it")
    for key in sorted(optional & settings.keys() - needed):
        reason = "shots is 0" if key.startswith("example") else f"the task type {settings['type']} has no such setting"
        raise ValueError(f"{path.name}: {where}.{key}: {settings[key]!r} has no use here: {reason}")

    instruction = settings.pop("instruction", None)
    if instruction is not None:
        if "{instruction}" not in settings["prompt"]:
            raise ValueError(f"{path.name}: {where}.instruction: the prompt has no {{instruction}} to put it in")
        settings["prompt"] = settings["prompt"].replace("{instruction}", instruction)
    _check_placeholders(path, f"{where}.prompt", settings["prompt"], task_type.placeholders)

    config = TaskConfig(name=_config_name(path, group, task, settings), category=group["category"], **settings)
    for low, high in (("min_length", "max_length"), ("example_min_length", "example_max_length")):
        if getattr(config, low) > getattr(config, high):
            value = getattr(config, low)
            raise ValueError(f"{path.name}: {where}.{low}: {value} is above {high}, {getattr(config, high)}")
    for key, message in task_type.limits(config):
        raise ValueError(f"{path.name}: {where}.{key}: {message}")
    return config


def _config_name(path: Path, group: Mapping[str, Any], task: str, settings: Mapping[str, Any]) -> str:
    template = group.get("config_name")
    if not isinstance(template, str) or "{task}" not in template:
        raise ValueError(f"{path.name}: config_name: {template!r} is not a template with {{task}}")
    name = template.replace("{task}", task).replace("{length}", str(settings["min_length"]))
    if not name.isascii() or not name.replace("_", "").isalnum() or name != name.lower():
        raise ValueError(f"{path.name}: config_name: {name!r} has other signs than a-z, 0-9 and _")
    return name


def _check_value(path: Path, where: str, key: str, value: Any) -> None:
    if key in _NUMBERS:
        if not isinstance(value, int) or isinstance(value, bool) or value < _NUMBERS[key]:
            raise ValueError(f"{path.name}: {where}: {value!r} is not a whole number of at least {_NUMBERS[key]}")
    elif not isinstance(value, str) or not value.strip():
        raise ValueError(f"{path.name}: {where}: {value!r} is not a text")


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


def _refuse_unknown(path: Path, prefix: str, mapping: Mapping[str, Any], known: frozenset[str] | set[str]) -> None:
    for key, value in mapping.items():
        if key not in known:
            near = _nearest(str(key), known)
            hint = f"; did you mean {near!r}?" if near else f"; known are {', '.join(sorted(known))}"
            raise ValueError(f"{path.name}: {prefix}{key}: unknown key (value {_shorten(value)}){hint}")


def _nearest(name: str, known: Iterable[str]) -> str | None:
    import difflib

    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def _shorten(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else text[:37] + "..."


def _mapping(path: Path, group: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = group.get(key, {})
    if not isinstance(value, dict):
        raise ValueError(f"{path.name}: {key}: {value!r} is not a mapping")
    return value


def _read_mapping(path: Path) -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name}: is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name}: is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path.name}: {_shorten(content)} is not a mapping of keys")
    return content


@cache
def _read_groups(folder: Path) -> dict[str, dict[str, TaskConfig]]:
    files = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    order = [name for name in GROUPS if name in files] + [name for name in files if name not in GROUPS]
    return {name: read_group(files[name]) for name in order}


@cache
def _all_configs(folder: Path) -> dict[str, TaskConfig]:
    configs: dict[str, TaskConfig] = {}
    for group, members in _read_groups(folder).items():
        for name, config in members.items():
            if name in configs:
                raise ValueError(f"{group}.yaml: config_name: {name!r} is the name of a task in another file, too")
            configs[name] = config
    return configs
