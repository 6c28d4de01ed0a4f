"""Whether right answers fit into the new tokens of a config, by a tokenizer at hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from .configs import TaskConfig, task_info
from .generators import TEXT_SCORERS
from .generators.lists import format_list
from .rows import Row, build_rows

# Texts → how many tokens each takes, without special ones.
CountTokens = Callable[[Sequence[str]], Sequence[int]]


def token_counter(name_or_path: str) -> CountTokens:
    """Counts tokens as the tokenizer of a model does, one on the Hub or in a directory.

    Raises ValueError where there is none that can be read without running its code.
    """
    # The one thing asked of the samplers: they read every published tokenizer, those that bring code of their own, too.
    from samplers.models import load_tokenizer

    return counter_of(load_tokenizer(name_or_path))


def counter_of(tokenizer: Any) -> CountTokens:
    """Counts tokens as a tokenizer of transformers does, without special ones."""
    return lambda texts: [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]


@dataclass(frozen=True, slots=True)
class Fit:
    """How the answers of some rows fit into the new tokens.

    Attributes:
        rows: how many there are.
        max_new_tokens: the room that an answer and its end token have.
        least, mean, most: tokens of the column `answer`, without an end token.
        too_long: rows of which no right answer fits, so that no model can be right there.
        without_end: other rows of which no right answer leaves room for an end token.
        longer: rows whose `answer` with its end token does not fit, whether or not another right one does.
    """

    rows: int
    max_new_tokens: int
    least: int
    mean: float
    most: int
    too_long: int
    without_end: int
    longer: int

    @property
    def best_score(self) -> float:
        """The best score in percent that is left for a model."""
        return 100 * (self.rows - self.too_long) / self.rows

    def limit(self) -> str | None:
        """What a model cannot answer, as the end of a line that names it and the task; None where nothing stops it."""
        if not self.too_long and not self.without_end:
            return None
        room = f"the longest takes {self.most} and an end token; {self.most + 1} new tokens have room for all"
        unended = f"{self.without_end} of {self.rows} right answers leave no room for their end token"
        if not self.too_long:
            return f"{unended} in {self.max_new_tokens} new tokens; {room}"
        return (
            f"{self.too_long} of {self.rows} right answers do not fit into {self.max_new_tokens} new tokens: at most "
            f"{self.best_score:.3g} % can be right{f', and {unended}' if self.without_end else ''}; {room}"
        )

    def problem(self) -> str | None:
        """What is wrong with the data: its limit, or answers that do not fit while others that are as right may."""
        if self.limit() is None and self.longer:
            return (
                f"{self.longer} of {self.rows} answers with their end token do not fit into {self.max_new_tokens} new "
                f"tokens, though others that are right may; the longest takes {self.most} and an end token"
            )
        return self.limit()


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
    too_long = without_end = longer = 0
    for row, length in zip(rows, lengths, strict=True):
        if length + 1 > max_new_tokens:
            longer += 1
            shortest = _shortest_answer(row, length, count_tokens)
            too_long += shortest > max_new_tokens
            without_end += shortest == max_new_tokens
    return Fit(len(rows), max_new_tokens, min(lengths), fmean(lengths), max(lengths), too_long, without_end, longer)


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


def _shortest_answer(row: Row, length: int, count_tokens: CountTokens) -> int:
    """Tokens of the shortest right answer, given those of the column `answer`; 0 of texts, which may be short."""
    reference = json.loads(row["reference"])
    if reference["scorer"] in TEXT_SCORERS:
        return 0
    others = [format_list(items) for items in _other_lists(reference)]
    return min([length, *count_tokens(others)]) if others else length


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
