"""Imports the original ParallelBench data: every row in its order, in our schema, as configs `original_…`.

That data carries no licence, so none of it ships here: users name their own copy, or the dataset on the Hub.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from .card import TITLE, config_entry
from .checks import Scorer
from .importing_rows import TEXT_SCORERS, convert_row
from .importing_sources import SourceTask, find_tasks
from .rows import Row, canonical_line
from .writing import refuse_foreign, replacing

# Of a long list of rows that are not understood, so many are named.
MOST_NAMED = 20


class UnknownRowsError(ValueError):
    """Rows are of an unknown form; `problems` has one line for each, naming file and line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(f"{len(problems)} rows or tasks are of an unknown form; nothing is written")
        self.problems = list(problems)


@dataclass(frozen=True, slots=True)
class Imported:
    """What was written, config → number of rows, and what was left out, one line for each row or task."""

    counts: dict[str, int]
    skipped: list[str]


def import_original(
    source: str,
    output: Path,
    *,
    score: Scorer | None = None,
    skip_unknown: bool = False,
) -> Imported:
    """Writes the original data in `source` (a folder or a Hub dataset) to the dataset directory `output`.

    `score` is the metric (`checks.load_scorer`): the answer of every row, text apart, must be right by its own
    reference. Raises UnknownRowsError where a row or task is not understood, unless `skip_unknown` leaves it out;
    ValueError where there is no such data, where nothing would be left, and where `output` is something else than a
    dataset built here.
    """
    refuse_foreign(output.resolve())
    rows: dict[str, list[Row]] = {}
    problems: list[str] = []
    for task in find_tasks(source):
        converted, unknown = _convert(task, score)
        problems += unknown
        if converted:
            config = converted[0]["task"]
            if config in rows:
                raise ValueError(f"{task.where}: another task is called {config}, too")
            rows[config] = converted
    if problems and not skip_unknown:
        raise UnknownRowsError(problems)
    if not rows:
        raise ValueError(f"{source}: no row is of a known form")
    with replacing(output) as folder:
        digests = {config: _write(folder, config, rows[config]) for config in rows}
        (folder / "README.md").write_text(_card(source, rows, digests), encoding="utf-8")
    return Imported({config: len(members) for config, members in rows.items()}, problems)


def _convert(source: SourceTask, score: Scorer | None) -> tuple[list[Row], list[str]]:
    task = source.task
    if task is None:
        return [], [f"{source.where}: {source.problem}"]
    rows: list[Row] = []
    places: list[str] = []
    problems: list[str] = []
    for where, content, problem in source.lines():
        try:
            if problem is not None:
                raise ValueError(problem)
            row = convert_row(task, content, len(rows))
            canonical_line(row).encode()  # refuses half a surrogate pair, which JSON can spell and no file can hold
            rows.append(row)
            places.append(where)
        except ValueError as error:
            problems.append(f"{where}: {error}")
    if not rows and not problems:
        problems.append(f"{source.where}: holds no rows")
    if score is None or task.scorer in TEXT_SCORERS:
        return rows, problems
    wrong = _wrong_answers(rows, score)
    problems += [f"{places[place]}: {reason}" for place, reason in wrong.items()]
    right = [row for place, row in enumerate(rows) if place not in wrong]
    for number, row in enumerate(right):
        row["id"] = f"{task.config}-test-{number:04d}"
    return right, problems


def _wrong_answers(rows: Sequence[Row], score: Scorer) -> dict[int, str]:
    """Rows whose answer does not score 100 against its own reference: place → what is wrong."""
    try:
        values: Iterable[float | str] = _scores(rows, score)
    except ValueError:  # one reference is malformed; which one, the rows tell one by one
        values = [_score_or_reason(row, score) for row in rows]
    reasons = {}
    for place, value in enumerate(values):
        if isinstance(value, str):
            reasons[place] = value
        elif value != 1:
            reasons[place] = f"its answer scores {100 * value:g} against its own reference, not 100"
    return reasons


def _scores(rows: Sequence[Row], score: Scorer) -> list[float]:
    return score([row["answer"] for row in rows], [row["reference"] for row in rows]) if rows else []


def _score_or_reason(row: Row, score: Scorer) -> float | str:
    try:
        return _scores([row], score)[0]
    except ValueError as error:
        return f"its answer cannot be scored: {error}"


def _write(folder: Path, config: str, rows: Sequence[Row]) -> str:
    (folder / config).mkdir()
    content = "".join(f"{canonical_line(row)}\n" for row in rows).encode()
    (folder / config / "test.jsonl").write_bytes(content)
    return sha256(content).hexdigest()


def _card(source: str, rows: dict[str, list[Row]], digests: dict[str, str]) -> str:
    import yaml

    configs = [config_entry(config, digest, {"test": f"{config}/test.jsonl"}) for config, digest in digests.items()]
    header = yaml.safe_dump({"language": ["en"], "configs": configs}, sort_keys=False, allow_unicode=True, width=120)
    table = "\n".join(f"| `{config}` | {len(members)} |" for config, members in rows.items())
    body = _BODY.replace("<<source>>", source).replace("<<table>>", table)
    return f"---\n{TITLE}, original questions\n{header}---\n{body}"


_BODY = """
# The original ParallelBench questions

Imported from `<<source>>` into the schema of this project: every row in its order, with the original's prompts and
answers. Configs `original_…` are the first edition (2025, the paper's), `original2026_…` the later one.

The original data carries no licence. This copy is for rerunning published numbers on your own machine; do not publish
it.

| config | rows of `test` |
|---|---|
<<table>>
"""
