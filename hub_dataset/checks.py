"""What must hold for the rows of a config: schema, ids, distinct questions, splits apart, checksums, scores."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .configs import TaskConfig, config_names, task_info
from .disk import write_atomically
from .grammar import GrammarChecker
from .rows import COLUMNS, Row, RowsRunOutError, build_rows, checksum
from .unavailable import UnavailableError

CHECKSUMS = Path(__file__).resolve().parent / "checksums.json"
# Rows of train and validation that are compared with test.
SAMPLE = 500

# (predictions, references) → for every row a score from 0 to 1
Scorer = Callable[[list[str], list[str]], list[float]]


def read_checksums(path: Path = CHECKSUMS) -> dict[str, dict[str, str]]:
    """The recorded checksums, config → split → SHA-256. Raises ValueError for a file of another form."""
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path.name}: is missing; `check --update` writes it") from None
    except ValueError as error:
        raise ValueError(f"{path.name}: is not JSON: {error}") from None
    if not isinstance(recorded, dict) or not all(isinstance(splits, dict) for splits in recorded.values()):
        raise ValueError(f"{path.name}: is not a mapping of configs to splits")
    return recorded


def write_checksums(path: Path = CHECKSUMS) -> dict[str, dict[str, str]]:
    """Records the checksums of all configs as they are built now, and returns them.

    A config that cannot be built here keeps the checksum that was recorded before, if any.
    """
    before = read_checksums(path) if path.exists() else {}
    recorded: dict[str, dict[str, str]] = {}
    for config in config_names():
        try:
            recorded[config] = {"test": checksum(build_rows(config))}
        except UnavailableError:
            if config in before:
                recorded[config] = before[config]
    write_atomically(path, json.dumps(recorded, indent=2).encode() + b"\n")
    return recorded


def load_scorer(metric: Path) -> Scorer:
    """The metric in the folder `metric`, loaded through `evaluate`, as a function of predictions and references."""
    import evaluate

    module = evaluate.load(str(metric))

    def score(predictions: list[str], references: list[str]) -> list[float]:
        # A sentence's score takes a grammar verdict, which is checked elsewhere: None means that there is none here.
        unjudged = [None] * len(predictions)
        result = module.compute(
            predictions=predictions, references=references, per_sample=True, grammar=unjudged, parses=False
        )
        return [sample.get("score", sample.get("inclusion")) for sample in result["samples"]]

    return score


def problems_of_config(
    config: str | TaskConfig,
    recorded: dict[str, dict[str, str]] | None,
    score: Scorer | None = None,
    grammar: GrammarChecker | None = None,
) -> list[str]:
    """What is wrong with a config's rows, one line each; empty where all is well.

    Rebuilds `test`, compares it with `recorded` (None for custom tasks, of which nothing is recorded), checks it and a
    sample of `train` and `validation`; with `score` every answer of `test` must be right by its own reference. Answers
    of open text tasks have no such score, but must not repeat the text. With a `grammar` checker, sentences must be
    grammatical. A config from a public dataset may have no checksum yet. Raises UnavailableError for what cannot be
    built here.
    """
    task = task_info(config)
    test = build_rows(task)
    problems = problems_of_rows(task, "test", test)
    if recorded is not None:
        expected = recorded.get(task.name, {}).get("test")
        actual = checksum(test)
        if expected is None and not task.from_hub:
            problems.append(f"{task.name}: test: checksums.json has no checksum")
        elif expected is not None and actual != expected:
            problems.append(f"{task.name}: test: checksum is {actual}, checksums.json has {expected}")
    questions = {row["prompt"] for row in test}
    written = {row["answer"] for row in test} if task.task_type.is_text else set()
    for split in task.splits[1:]:
        sample = _sample(task, split)
        problems += problems_of_rows(task, split, sample)
        for row in sample:
            shown = {message["content"] for message in row["messages"] if message["role"] == "user"}
            if shown & questions:
                problems.append(f"{row['id']}: contains a question of test")
            if row["answer"] in written:
                problems.append(f"{row['id']}: its answer is one of test")
    if task.task_type.open_ended:
        problems += [
            f"{row['id']}: its answer stands in the question"
            for row in test
            if row["answer"].casefold() in row["prompt"].casefold()
        ]
    elif score is not None:
        scores = score([row["answer"] for row in test], [row["reference"] for row in test])
        for row, value in zip(test, scores, strict=True):
            if value != 1:
                problems.append(f"{row['id']}: its answer scores {100 * value:g} against its own reference, not 100")
    if task.task_type.is_text and grammar is not None:
        findings = grammar.findings([row["answer"] for row in test])
        problems += [
            f"{row['id']}: its answer is not grammatical: {', '.join(rule_ids)}"
            for row, rule_ids in zip(test, findings, strict=True)
            if rule_ids
        ]
    return problems


def _sample(task: TaskConfig, split: str) -> list[Row]:
    try:
        return build_rows(task, split, SAMPLE)
    except RowsRunOutError as error:  # a small pool of a user's own
        return build_rows(task, split, error.filled) if error.filled else []


def problems_of_rows(task: TaskConfig, split: str, rows: Sequence[Row]) -> list[str]:
    """Breaches of the schema, of the numbering, and questions asked twice."""
    problems: list[str] = []
    asked: dict[str, str] = {}
    for number, row in enumerate(rows):
        name = f"{task.name}-{split}-{number:04d}"
        problems += [f"{name}: {problem}" for problem in _problems_of_row(task, row, name)]
        first = asked.setdefault(str(row.get("prompt")), name)
        if first != name:
            problems.append(f"{name}: asks the question of {first} again")
    return problems


def _problems_of_row(task: TaskConfig, row: Row, name: str) -> list[str]:
    if list(row) != list(COLUMNS):
        return [f"columns are {', '.join(row)}"]
    problems = [
        f"{column} is {type(row[column]).__name__}, not {kind.__name__}"
        for column, kind in COLUMNS.items()
        if type(row[column]) is not kind
    ]
    if problems:
        return problems
    expected: dict[str, Any] = {"id": name, "task": task.name, "category": task.category}
    expected |= {"max_new_tokens": task.max_new_tokens}
    problems += [
        f"{column} is {row[column]!r}, not {value!r}" for column, value in expected.items() if row[column] != value
    ]
    if not task.min_length <= row["length"] <= task.max_length:
        problems.append(f"length is {row['length']}, not from {task.min_length} to {task.max_length}")
    roles = [message.get("role") for message in row["messages"]]
    if roles != ["user", "assistant"] * task.shots + ["user"]:
        problems.append(f"messages have the roles {roles}")
    elif row["messages"][-1].get("content") != row["prompt"]:
        problems.append("the last message is not the prompt")
    try:
        reference = json.loads(row["reference"])
    except ValueError:
        return [*problems, "reference is not JSON"]
    if not isinstance(reference, dict) or reference.get("scorer") != task.scorer:
        problems.append(f"reference does not name the scorer {task.scorer}")
    return problems
