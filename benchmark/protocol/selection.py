"""What a run takes where nobody says: the whole protocol, or a selection that tells the story in two minutes."""

from __future__ import annotations

from dataclasses import dataclass

# Tasks whose prompt leaves one right answer, which cost nothing at any speed, beside those that collapse.
QUICK_TASKS = (
    "waiting_line_copy",
    "waiting_line_shuffle",
    "waiting_line_replace_random",
    "puzzle_latin_square_n4",
    "puzzle_sudoku_n4_12",
)
# An order that is blind to what it commits, the usual order, and the method that chooses its speed itself.
QUICK_SCHEDULERS = (
    *(f"confidence:k={k}" for k in (1, 2, 4, 8, 32)),
    *(f"random:k={k}" for k in (4, 8, 16, 32)),
    *(f"threshold:threshold={threshold}" for threshold in (0.5, 0.7, 0.9)),
)
QUICK_SAMPLES = 16


@dataclass(frozen=True, slots=True)
class Selection:
    """Task patterns, scheduler specifications (either empty: the protocol's), rows of each task (None: all)."""

    tasks: list[str]
    schedulers: list[str]
    samples: int | None


def select(tasks: list[str], schedulers: list[str], samples: int | None, *, quick: bool) -> Selection:
    """What a user named, and for the rest the quick selection or everything."""
    if not quick:
        return Selection(tasks, schedulers, samples)
    return Selection(tasks or list(QUICK_TASKS), schedulers or list(QUICK_SCHEDULERS), samples or QUICK_SAMPLES)
