"""The task types: what turns a config and a random stream into questions."""

from .base import Generator, Question, TaskType
from .latin_square import LATIN_SQUARE
from .lists import LIST_TYPES
from .sudoku import SUDOKU

TASK_TYPES: dict[str, TaskType] = {**LIST_TYPES, "latin_square": LATIN_SQUARE, "sudoku": SUDOKU}

__all__ = ["TASK_TYPES", "Generator", "Question", "TaskType"]
