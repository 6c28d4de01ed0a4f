"""The benchmark's configs: read from the YAML files in `tasks/`, and found by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from .group_files import TASKS, read_group
from .task_config import CATEGORIES, SPLITS, TaskConfig
from .yaml_files import nearest

__all__ = ["CATEGORIES", "SPLITS", "TaskConfig", "config_names", "default_task_names", "task_groups", "task_info"]

# The order in which configs are listed and built; other files follow by name.
GROUPS = (
    "waiting_line",
    "words_to_sentence",
    "paraphrase_summarize",
    "puzzle",
    "text_writing",
    "waiting_line_n15",
    "words_to_sentence_n",
    "case_study",
)


def config_names() -> list[str]:
    """The names of all configs, in the order in which they are listed and built."""
    return list(_all_configs(TASKS))


def task_groups() -> dict[str, list[str]]:
    """The names of the configs of every group: `waiting_line`, `puzzle`, …"""
    return {name: list(group) for name, group in _read_groups(TASKS).items()}


def default_task_names() -> list[str]:
    """The twelve tasks whose right answers can all be enumerated: the waiting lines and the puzzles."""
    groups = _read_groups(TASKS)
    return [name for group in ("waiting_line", "puzzle") for name in groups.get(group, {})]


def task_info(config: str | TaskConfig) -> TaskConfig:
    """The settings of a config; `waiting_line/copy` and `waiting-line-copy` mean `waiting_line_copy`.

    Settings, such as those of a custom task, are returned as they are. Raises ValueError for an unknown name.
    """
    if isinstance(config, TaskConfig):
        return config
    configs = _all_configs(TASKS)
    name = underscored(config)
    if name not in configs:
        near = nearest(name, configs)
        hint = f"did you mean {near!r}?" if near else "`python generate_tasks.py list` shows all of them"
        raise ValueError(f"unknown task {config!r}; {hint}")
    return configs[name]


def underscored(name: str) -> str:
    """A name of a config as it is written in YAML: `waiting_line/copy` and `waiting-line-copy` mean the same."""
    return name.replace("/", "_").replace("-", "_")


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
