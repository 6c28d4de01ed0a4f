"""Whether right answers fit into the new tokens of a config, by a tokenizer at hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from .configs import TaskConfig, task_info
from .generators import TASK_TYPES
from .generators.lists import format_list
from .rows import Row, build_rows

# Texts → how many tokens each takes, without special ones.
CountTokens = Callable[[Sequence[str]], Sequence[int]]

_TEXT_SCORERS = frozenset(kind.scorer for kind in TASK_TYPES.values() if kind.is_text)


def token_counter(name_or_path: str) -> CountTokens:
    """Counts tokens as the tokenizer of a model does, one on the Hub or in a directory.

    Raises ValueError where there is none that can be read without running its code.
    """
    # The one thing asked of the samplers: they read every published tokenizer, those that bring code of their own, too.
    from samplers.models import load_tokenizer

    tokenizer = load_tokenizer(name_or_path)
    return lambda texts: [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]


@dataclass(frozen=True, slots=True)
class Fit:
    """How the answers of some rows fit into the new tokens.

    Attributes:
        rows: how many there are.
        max_new_tokens: the room that an answer and its end token have.
        least, mean, most: tokens of the column `answer`, without an end token.
        too_long: rows of which no right answer fits, so that no model can be right there.
        without_end: other rows whose `answer` leaves no room for an end token, or is longer while another right
            answer may fit.
    """

    rows: int
    max_new_tokens: int
    least: int
    mean: float
    most: int
    too_long: int
    without_end: int

    @property
    def best_score(self) -> float:
        """The best score in percent that is left for a model."""
        return 100 * (self.rows - self.too_long) / self.rows

    @property
    def new_tokens_for_all(self) -> int:
        """New tokens that have room for each answer and its end token."""
        return self.most + 1

    def problem(self) -> str | None:
        """What does not fit, as the end of a line that names task and tokenizer first; None where all fits."""
        if not self.too_long and not self.without_end:
            return None
        room = f"the longest answer takes {self.most} and an end token; {self.new_tokens_for_all} have room for all"
        if not self.too_long:
            return (
                f"{self.without_end} of {self.rows} answers do not fit into {self.max_new_tokens} tokens with their "
                f"end token: {room}"
            )
        more = f", and {self.without_end} more have no room for their end token" if self.without_end else ""
        return (
            f"{self.too_long} of {self.rows} answers do not fit into {self.max_new_tokens} tokens: at most "
            f"{self.best_score:.3g} % can be right{more}; {room}"
        )


def answer_fit(rows: Sequence[Row], max_new_tokens: int, count_tokens: CountTokens) -> Fit:
    """How the answers of `rows` fit into `max_new_tokens`.

    Args:
        rows: at least one, in the dataset's schema.
        max_new_tokens: at least 1.
        count_tokens: the number of tokens of each text.

    A question counts as too long where every right answer is: of free insertions, removals and replacements all are
    looked at, of shuffles and squares one stands for the others. No text is too long: a shorter one may be as good.
    """
    lengths = count_tokens([row["answer"] for row in rows])
    too_long = without_end = 0
    for row, length in zip(rows, lengths, strict=True):
        if length + 1 <= max_new_tokens:
            continue
        if length > max_new_tokens and _is_too_long(row, max_new_tokens, count_tokens):
            too_long += 1
        else:
            without_end += 1
    return Fit(len(rows), max_new_tokens, min(lengths), fmean(lengths), max(lengths), too_long, without_end)


def fit_of_config(config: str | TaskConfig, count_tokens: CountTokens) -> tuple[str, str | None]:
    """A line on the tokens of a config's answers in `test`, and what is wrong with them, if anything.

    Of lists the line says how many tokens an item takes, with its quotes and the comma.
    """
    task = task_info(config)
    rows = build_rows(task)
    fit = answer_fit(rows, task.max_new_tokens, count_tokens)
    line = f"{task.name}: {fit.least} to {fit.most}, {fit.mean:.1f} on average, of {task.max_new_tokens}"
    if task.scorer.startswith("list_"):
        items = sorted({item for row in rows for item in json.loads(row["answer"])})
        once = count_tokens([format_list([item]) for item in items])
        twice = count_tokens([format_list([item, item]) for item in items])
        each = [two - one for one, two in zip(once, twice, strict=True)]
        most = f" to {max(each)} ({items[each.index(max(each))]!r})" if max(each) > min(each) else ""
        line += f"; an item takes {min(each)}{most}"
    return line, fit.problem()


def _is_too_long(row: Row, max_new_tokens: int, count_tokens: CountTokens) -> bool:
    """Whether a row whose `answer` is longer than `max_new_tokens` has no shorter right answer that fits."""
    reference = json.loads(row["reference"])
    if reference["scorer"] in _TEXT_SCORERS:
        return False
    others = [format_list(items) for items in _other_lists(reference)]
    return not others or min(count_tokens(others)) > max_new_tokens


def _other_lists(reference: dict[str, Any]) -> Iterator[list[str]]:
    """All right lists of a free insertion, removal or replacement of one item; none for other references."""
    items = reference.get("input", [])
    scorer = reference["scorer"]
    if scorer == "list_insert":
        yield from ([*items[:index], reference["word"], *items[index:]] for index in range(len(items) + 1))
    elif scorer == "list_replace":
        yield from ([*items[:index], reference["word"], *items[index + 1 :]] for index in range(len(items)))
    elif scorer == "list_remove" and reference["count"] == 1:
        yield from ([*items[:index], *items[index + 1 :]] for index in range(len(items)))
