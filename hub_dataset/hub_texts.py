"""Takes texts with their answers from public datasets on the Hub, through `datasets`."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from .text_files import Text
from .text_sources import HubDataset
from .unavailable import UnavailableError

TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class HubTexts:
    """The rows of a dataset as texts, read one at a time.

    `read(row)` makes a text of a row, or None where the row does not have the form that it should have.
    """

    rows: Any
    read: Callable[[Mapping[str, Any]], Text | None]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Text | None:
        return self.read(self.rows[index])


def hub_paraphrases(source: HubDataset) -> HubTexts:
    """A dataset with the columns `text` and `paraphrases`, the latter a Python list written into a string.

    Raises UnavailableError where the dataset cannot be had.
    """
    return HubTexts(_load(source, ("text", "paraphrases")), _read_paraphrases)


def hub_dialogues(source: HubDataset) -> HubTexts:
    """A dataset with the columns `dialogue` and `summary`. Raises UnavailableError where the dataset cannot be had."""
    return HubTexts(_load(source, ("dialogue", "summary")), _read_dialogue)


@cache
def _load(source: HubDataset, columns: Sequence[str]) -> Any:
    import datasets
    from huggingface_hub import HfApi
    from huggingface_hub.errors import OfflineModeIsEnabled

    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        with suppress(OfflineModeIsEnabled):  # then the cache may have it
            # Asked first, because `load_dataset` goes on trying for half a minute where there is no network.
            HfApi().dataset_info(source.repository, revision=source.revision, timeout=TIMEOUT_SECONDS)
        # Not streamed: rows are drawn from anywhere in the dataset, and it is small enough to be kept in the cache.
        rows = datasets.load_dataset(source.repository, split=source.split, revision=source.revision)
    except Exception as error:  # the clients let through whatever the HTTP library below them raises
        # `datasets` wraps what went wrong with a file into a message that does not say it.
        cause = error.__cause__ if isinstance(error, datasets.exceptions.DatasetGenerationError) else None
        reason = " ".join(str(cause or error).split()) or type(error).__name__
        raise UnavailableError(f"{source} cannot be loaded from the Hub: {reason}") from error
    missing = [column for column in columns if column not in rows.column_names]
    if missing:
        raise UnavailableError(f"{source} has no column {missing[0]!r}; it has {', '.join(rows.column_names)}")
    return rows


def _read_paraphrases(row: Mapping[str, Any]) -> Text | None:
    text = _one_line(row["text"])
    try:
        written = ast.literal_eval(row["paraphrases"])
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    if text is None or not isinstance(written, list):
        return None
    lines = [_one_line(paraphrase) for paraphrase in written]
    answers = [line for line in lines if line is not None and line.casefold() != text.casefold()]
    return Text(text, tuple(dict.fromkeys(answers))) if answers else None


def _read_dialogue(row: Mapping[str, Any]) -> Text | None:
    dialogue, summary = row["dialogue"], _one_line(row["summary"])
    if not isinstance(dialogue, str) or not dialogue.strip() or summary is None:
        return None
    return Text("\n".join(line.rstrip() for line in dialogue.strip().splitlines()), (summary,))


def _one_line(value: Any) -> str | None:
    """A text without the spaces around it; None where it is none, is blank or has several lines."""
    if not isinstance(value, str) or len(value.strip().splitlines()) != 1:
        return None
    return value.strip()
