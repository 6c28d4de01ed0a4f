"""A user's own tasks: one YAML file in the form of those in `tasks/`, category `custom`."""

from __future__ import annotations

from pathlib import Path

from .configs import TaskConfig, config_names, underscored
from .group_files import read_group
from .yaml_files import nearest

CATEGORY = "custom"


def read_custom_tasks(path: Path) -> dict[str, TaskConfig]:
    """The tasks of a user's file by name, in its order.

    Raises ValueError, naming file, key and value, for anything that is not a well-formed group of the category
    `custom`, and for a task with the name of a built-in one; OSError where the file cannot be read.
    """
    tasks = read_group(path)
    built_in = set(config_names())
    for name, task in tasks.items():
        if task.category != CATEGORY:
            raise ValueError(f"{path.name}: category: {task.category!r} is not {CATEGORY!r}")
        if name in built_in:
            raise ValueError(f"{path.name}: config_name: {name!r} is the name of a built-in task")
    return tasks


def select_tasks(tasks: dict[str, TaskConfig], path: Path, names: list[str]) -> list[TaskConfig]:
    """The named ones of a user's tasks, all of them where no name is given.

    Names are read as `task_info` reads them. Raises ValueError for a name that is not in the file.
    """
    chosen: dict[str, TaskConfig] = {}
    for given in names or list(tasks):
        name = underscored(given)
        if name not in tasks:
            near = nearest(name, tasks)
            hint = f"did you mean {near!r}?" if near else f"it has {', '.join(tasks)}"
            raise ValueError(f"{path.name}: unknown task {given!r}; {hint}")
        chosen[name] = tasks[name]
    return list(chosen.values())
