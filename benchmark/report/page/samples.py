"""The answers that a page shows: the worst of every setting, as many as there is room for, and how many there were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmark.protocol.method import Method
from benchmark.protocol.settings import Key

#: Answers in a page, shared out evenly among the settings.
_ROOM = 1500
_MOST_OF_A_SETTING = 12
#: Letters of an answer, and tokens whose steps are shown.
_LETTERS, _TOKENS = 2000, 256
#: Positions of the curve of steps; longer answers are shown up to here.
POSITIONS = 128


@dataclass(slots=True)
class SampleKeeper:
    """Keeps of each setting, while a report reads them, its worst answers, its time, and the order of its steps.

    Attributes:
        settings: how many there are to be.
        shown: the worst answers of a setting, failed ones first, each (seed, row).
        counts: how many answers a setting has.
        steps: the mean step in which each position was committed for good, over the samples that note it.
        seconds: model → what its answers took in all.
    """

    settings: int
    shown: dict[Key, list[tuple[int, Mapping[str, Any]]]] = field(default_factory=dict)
    counts: dict[Key, int] = field(default_factory=dict)
    steps: dict[Key, list[float]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    _kept: int = 0

    def __call__(self, model: str, task: str, method: Method, rows: Mapping[int, list[dict[str, Any]]]) -> None:
        """Take what is needed of the rows of a setting."""
        key = model, task, method
        samples: list[tuple[int, Mapping[str, Any]]] = [(seed, row) for seed, some in rows.items() for row in some]
        if not samples:
            return
        ordered = sorted(samples, key=lambda item: (_score(item[1]), item[1]["id"], item[0]))
        share = min(_MOST_OF_A_SETTING, max(1, _ROOM // max(1, self.settings)))
        # Where there are more settings than room, the last ones show nothing; what was left out is counted.
        self.shown[key] = ordered[: min(share, max(0, _ROOM - self._kept))]
        self._kept += len(self.shown[key])
        self.counts[key] = len(samples)
        self.seconds[model] = self.seconds.get(model, 0.0) + sum(row.get("seconds") or 0.0 for _, row in samples)
        noted = [row["commit_steps"][:POSITIONS] for _, row in samples if row.get("commit_steps")]
        if noted and len({len(steps) for steps in noted}) == 1:
            means: list[float] = np.mean(noted, axis=0).tolist()
            self.steps[key] = [round(mean, 1) for mean in means]


def _score(row: Mapping[str, Any]) -> float:
    return -1.0 if "error" in row else float(row["scores"]["headline"])


def sample_json(seed: int, row: Mapping[str, Any], question: Mapping[str, Any] | None) -> dict[str, Any]:
    """An answer as the page has it; what is cut says how much is missing."""
    answer, tokens, steps = row.get("prediction") or "", row.get("tokens") or [], row.get("commit_steps") or []
    shown: dict[str, Any] = {"id": row["id"], "seed": seed, "answer": answer[:_LETTERS]}
    if "error" in row:
        return {**shown, "error": str(row["error"])[:_LETTERS]}
    shown |= {"headline": round(100 * row["scores"]["headline"], 6)}
    shown |= {"rounds": row.get("num_rounds"), "passes": row.get("num_forward_passes")}
    if len(answer) > _LETTERS:
        shown["cut"] = len(answer) - _LETTERS
    if tokens and steps:
        shown |= {"tokens": [token[:_LETTERS] for token in tokens[:_TOKENS]], "steps": steps[:_TOKENS]}
        if len(steps) > _TOKENS:
            shown["cut_tokens"] = len(steps) - _TOKENS
    if question is not None:
        shown |= {"question": _short(question["messages"][-1]["content"]), "expected": _short(question["answer"])}
    return shown


def _short(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]} … {len(text) - _LETTERS} more letters"


def questions(task: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The questions of the benchmark's own task that these rows answer, by id.

    There are none where they were other ones, or where this machine lacks what the task's questions are made with.
    """
    import hub_dataset
    from benchmark.protocol.questions import load_rows, question_checksum
    from hub_dataset.unavailable import UnavailableError

    wanted = {row["id"]: row.get("question_checksum") for row in rows}
    if task not in hub_dataset.config_names():
        return {}
    try:
        known = {row["id"]: row for row in load_rows(task, None) if row["id"] in wanted}
    except UnavailableError:
        return {}
    return {name: row for name, row in known.items() if wanted[name] == question_checksum(row)}
