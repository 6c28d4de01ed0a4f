"""The rows that a run asks about, and the tasks it may name."""

import hashlib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

Row = dict[str, Any]


def resolve_tasks(patterns: Sequence[str], own: Sequence[str] = ()) -> list[str]:
    """Config names for what a user wrote: names (`waiting_line/copy` too), patterns (`waiting_line_*`), or groups.

    No pattern means the default suite; `own` are names of tasks beside the benchmark's. The order is that of the
    patterns; nothing is named twice.

    Raises:
        ValueError: a pattern fits no config.
    """
    import hub_dataset

    if not patterns:
        return hub_dataset.default_task_names()
    found: list[str] = []
    known, groups = [*hub_dataset.config_names(), *own], hub_dataset.task_groups()
    for pattern in patterns:
        wanted = pattern.replace("/", "_").replace("-", "_")
        names = groups.get(wanted) or [name for name in known if fnmatchcase(name, wanted)]
        if not names:
            raise ValueError(
                f"unknown task {pattern!r}{suggestion(wanted, known)}; `parallelbench list tasks` shows all"
            )
        found.extend(name for name in names if name not in found)
    return found


def load_rows(task: str, samples: int | None) -> list[Row]:
    """The first `samples` rows (None: all) of a config's test split."""
    import hub_dataset

    rows = hub_dataset.build_rows(task)
    return rows if samples is None else rows[:samples]


def question_checksum(row: Row) -> str:
    """Twelve hexadecimal digits that tell a question, with its right answers, from others of its id."""
    from hub_dataset.rows import canonical_line

    return hashlib.sha256(canonical_line(row).encode()).hexdigest()[:12]


def suggestion(wanted: str, known: list[str]) -> str:
    """Names like the one that was wanted, in brackets; empty where there are none."""
    from difflib import get_close_matches

    close = get_close_matches(wanted, known, n=3)
    return f" (did you mean {' or '.join(close)}?)" if close else ""
