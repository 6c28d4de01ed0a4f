"""Checks on the arguments of `compute`, each failure a `ValueError` that names the argument and the index."""

import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def check_column(name: str, column: Any) -> list[Any]:
    """Return the values of a list, tuple, array or dataset column as a list.

    Raises:
        ValueError: `column` is missing, is a single string, or has no order.
    """
    is_sequence = hasattr(column, "__len__") and hasattr(column, "__getitem__")
    if not is_sequence or isinstance(column, str | bytes | Mapping):
        raise ValueError(f"{name} must be a list with one entry per row, got {reprlib.repr(column)}")
    return list(column)


def check_strings(name: str, column: Any) -> list[str]:
    """Return the strings of a column as a list; `ValueError` at the first value that is not a string."""
    values = check_column(name, column)
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise ValueError(f"{name}[{index}] must be a string, got {reprlib.repr(value)}")
    return values


def check_pairs(predictions: Any, references: Any) -> tuple[list[str], list[str]]:
    """Return predictions and references as lists of strings of one length, 1 or more.

    Raises:
        ValueError: not lists of strings, unequal lengths, or nothing to score.
    """
    predictions = check_strings("predictions", predictions)
    references = check_strings("references", references)
    check_length("references", len(references), len(predictions))
    if not predictions:
        raise ValueError("predictions and references must hold at least one row, got none")
    return predictions, references


def check_grammar(grammar: Any, rows: int) -> list[bool | None]:
    """Return one grammar verdict per prediction, None where there is none.

    Args:
        grammar: the verdicts, or None for no verdict at all.
        rows: number of predictions.

    Raises:
        ValueError: not one verdict per prediction, or a verdict that is not True, False or None.
    """
    if grammar is None:
        return [None] * rows
    verdicts = check_column("grammar", grammar)
    for index, verdict in enumerate(verdicts):
        if verdict is not None and not isinstance(verdict, bool | np.bool_):
            raise ValueError(f"grammar[{index}] must be True, False or None, got {reprlib.repr(verdict)}")
    check_length("grammar", len(verdicts), rows)
    return [None if verdict is None else bool(verdict) for verdict in verdicts]


def check_length(name: str, length: int, rows: int) -> None:
    """Raise `ValueError`, naming the first index without a partner, unless a column is as long as the predictions."""
    if length != rows:
        longer = "predictions" if length < rows else name
        raise ValueError(
            f"predictions and {name} must be equally long, got {rows} and {length}: "
            f"{longer}[{min(length, rows)}] has no partner"
        )
