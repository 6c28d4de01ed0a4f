"""Scoring rows: all scorers by name, what they need, their scores, and the verdicts on the grammar of text."""

from collections.abc import Iterable, Sequence

from .domino_scorer import DOMINO_SCORERS
from .grammar import GrammarChecker
from .list_scorers import LIST_SCORERS
from .number_scorers import NUMBER_SCORERS
from .puzzle_scorers import PUZZLE_SCORERS
from .references import Reference
from .scorer import Scorer
from .text_scorers import TEXT_SCORERS

SCORERS: dict[str, Scorer] = {**LIST_SCORERS, **PUZZLE_SCORERS, **DOMINO_SCORERS, **NUMBER_SCORERS, **TEXT_SCORERS}


def load_parts(rows: Iterable[Reference]) -> dict[str, str]:
    """Load what the scorers of these rows need; the signature of each part by its name."""
    signatures: dict[str, str] = {}
    for scorer in dict.fromkeys(row.scorer for row in rows):
        prepare = SCORERS[scorer].prepare
        if prepare is not None:
            signatures |= prepare()
    return signatures


def score_rows(predictions: Sequence[str], rows: Sequence[Reference]) -> list[dict[str, float]]:
    """Score every prediction, 0..1; of text, everything but its grammar."""
    scores: list[dict[str, float]] = [{} for _ in rows]
    batches: dict[str, list[int]] = {}
    for index, (prediction, row) in enumerate(zip(predictions, rows, strict=True)):
        scorer = SCORERS[row.scorer]
        if scorer.score_many is not None:
            batches.setdefault(row.scorer, []).append(index)
            continue
        scores[index] = scorer.score(prediction, **row.values)
        if not scorer.gated_by_grammar:
            scores[index]["headline"] = scores[index]["score"]
    for name, batch in batches.items():
        score_many = SCORERS[name].score_many
        if score_many is not None:
            found = score_many([predictions[index] for index in batch], [rows[index].values for index in batch])
            for index, score in zip(batch, found, strict=True):
                scores[index] = score
    return scores


def judge(
    predictions: Sequence[str], texts: Sequence[int], given: list[bool | None] | None, checker: GrammarChecker | None
) -> list[bool | None]:
    """Return one verdict on grammar per prediction: those given, or the checker's on those that are `texts`."""
    if given is not None:
        return given
    verdicts: list[bool | None] = [None] * len(predictions)
    if checker is not None:
        # Rows that are not text are handed over blank, which is not checked: so an error names the right row.
        chosen = set(texts)
        asked = [prediction if index in chosen else "" for index, prediction in enumerate(predictions)]
        verdicts = list(checker.verdicts(asked))
    return verdicts


def labels_of(row: Reference) -> dict[str, str]:
    """The labels of a row among its scores: `scorer`, and `task` where the reference names one."""
    return {"scorer": row.scorer} if row.task is None else {"scorer": row.scorer, "task": row.task}
