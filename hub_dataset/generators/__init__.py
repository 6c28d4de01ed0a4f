"""The task types: what turns a config and a random stream into questions."""

from ..task_config import TASK_TYPES, Generator, Question, TaskType
from .arithmetic import CUMULATIVE_SUM, MATH_OP
from .domino import DOMINO
from .latin_square import LATIN_SQUARE
from .lists import LIST_TYPES
from .repeat import REPEAT
from .sudoku import SUDOKU
from .texts import PARAPHRASE, SUMMARIZE
from .words_to_sentence import WORDS_TO_SENTENCE

TASK_TYPES |= {
    **LIST_TYPES,
    "repeat": REPEAT,
    "domino": DOMINO,
    "math_op": MATH_OP,
    "cumulative_sum": CUMULATIVE_SUM,
    "latin_square": LATIN_SQUARE,
    "sudoku": SUDOKU,
    "paraphrase": PARAPHRASE,
    "summarize": SUMMARIZE,
    "words_to_sentence": WORDS_TO_SENTENCE,
}
# Task types of which there are two: at a position that the prompt names, or at any. `position` chooses.
POSITION_TYPES = ("insert", "remove", "replace")
POSITIONS = ("index", "random")

# What references name: all scorers, and those of answers that are sentences.
SCORERS = frozenset(kind.scorer for kind in TASK_TYPES.values())
TEXT_SCORERS = frozenset(kind.scorer for kind in TASK_TYPES.values() if kind.is_text)

__all__ = ["POSITIONS", "POSITION_TYPES", "SCORERS", "TASK_TYPES", "TEXT_SCORERS", "Generator", "Question", "TaskType"]
