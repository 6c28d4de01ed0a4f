"""Lines on what keeps the models of a report from being compared."""

from collections.abc import Mapping
from typing import Any


def length_notices(settings: Mapping[str, Any]) -> list[str]:
    """A line where the models of a report generate answers of different lengths, as some need more tokens."""
    lengths: dict[tuple[tuple[int, str], ...], list[str]] = {}
    new_tokens = settings.get("new_tokens", {})
    for task in dict.fromkeys(task for tasks in new_tokens.values() for task in tasks):
        of_models = {model: tasks[task] for model, tasks in new_tokens.items() if task in tasks}
        if len(set(of_models.values())) > 1:
            lengths.setdefault(tuple((count, model) for model, count in of_models.items()), []).append(task)
    return [
        f"New tokens differ on {tasks[0]}{f' and {len(tasks) - 1} more' if len(tasks) > 1 else ''}: "
        f"{', '.join(f'{model} {count}' for count, model in counts)}. Tokens per step count all of them, so these "
        "models are not to be compared by it."
        for counts, tasks in lengths.items()
    ]
