"""The model card: `card.md` filled in from predictions, the training log and the model's config."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .examples import WEIGHTS
from .predictions import IDEAL, IDEAL_GREEDY, NEW_TOKENS, QUOTAS, REFERENCE, THRESHOLDS, evaluated_tasks
from .scoring import Cell, Scores
from .training import LOG, read_log

TEMPLATE = Path(__file__).resolve().with_name("card.md")
# Columns of the tables: head → label of a setting → what is written of it into the head.
_ORDERS = {f"{order} order, k =": {f"{order}(k={k})": str(k) for k in QUOTAS} for order in ("confidence", "random")}
_THRESHOLDS = {"threshold": {f"threshold(threshold={value})": str(value) for value in THRESHOLDS}}
_FRONT_MATTER = """\
---
license: apache-2.0
language:
- en
pipeline_tag: text-generation
tags:
- diffusion
- masked-diffusion
- parallel-decoding
- parallelbench
---
"""


def card_text(directory: Path, scores: Scores) -> str:
    """The card of the model in `directory`.

    Args:
        directory: with `config.json`, `model.safetensors` and `training_log.jsonl`.
        scores: of the model, and of the ideal model where it was run.

    Raises:
        ValueError: none of the scores are the model's own on lists or puzzles.
    """
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    pieces, log = read_log(directory / LOG)
    training = pieces[-1]["config"]
    own = scores.get(REFERENCE, {})
    order = evaluated_tasks()
    lists = {task: own[task] for task in order if task in own and _is_scored(own[task])}
    if not lists:
        raise ValueError(f"no prediction is the model's own on lists or puzzles; `predict` makes some for {directory}")
    fewest = min(cell.rows for cells in lists.values() for cell in cells.values())
    last = log[-1]
    devices = dict.fromkeys(piece["device"] for piece in pieces)
    values = {
        "parameters": f"{_parameters(directory) / 1e6:.1f} M",
        "rows": _range(cell.rows for cells in lists.values() for cell in cells.values()),
        "new_tokens": NEW_TOKENS,
        "spread": f"{50 / fewest**0.5:.0f}",
        "curves": _curves(lists),
        "thresholds": _thresholds(lists),
        "texts": _texts({task: cells for task, cells in own.items() if task not in lists}),
        "ideal": _ideal(scores),
        "layers": config["num_hidden_layers"],
        "width": config["hidden_size"],
        "heads": config["num_attention_heads"],
        "head_dim": config["head_dim"],
        "intermediate": config["intermediate_size"],
        "vocabulary": config["vocab_size"],
        "examples": f"{last['step'] * training['shape']['prompts'] / 1e6:.1f} million",
        "answers": training["shape"]["answers"],
        "steps": last["step"],
        "batch": training["shape"]["prompts"],
        "momentum": training["momentum"],
        "betas": " and ".join(map(str, training["betas"])),
        "weight_decay": training["weight_decay"],
        "rate": training["learning_rate"],
        "warmup": training["warmup"],
        "decay": _decay(last["step"], training),
        "precision": "float32" if "CPU" in devices else "bfloat16",
        "minutes": f"{last['seconds'] / 60:.0f}",
        "devices": " and ".join(f"one {device}" for device in devices),
        "mix": _mix({task: loss for entry in log for task, loss in entry["loss_by_task"].items()}),
        "train": _train_command(last["step"], training),
    }
    body = TEMPLATE.read_text(encoding="utf-8")
    for key, value in values.items():
        body = body.replace(f"<<{key}>>", str(value))
    return f"{_FRONT_MATTER}\n{body}"


def _decay(step: int, training: Mapping[str, Any]) -> str:
    begin = training["steps"] - training["decay"]
    if step >= training["steps"]:
        return f"falling in a straight line to 0 over the last {training['decay']}"
    if step <= begin:
        return "then the same rate to the end"
    return (
        f"falling in a straight line from step {begin} on, which would\n  have come to 0 at step {training['steps']}; "
        "training stopped before that"
    )


def _train_command(step: int, training: Mapping[str, Any]) -> str:
    """The command that trains the same model again, and the one that exports it where training stopped before the
    end."""
    options = {
        "steps": training["steps"],
        "decay": training["decay"],
        "warmup": training["warmup"],
        "learning-rate": training["learning_rate"],
        "batch": training["shape"]["prompts"],
        "groups": training["shape"]["groups"],
        "seed": training["seed"],
    }
    start = "python -m training"
    train = f"{start} train --out build/reference " + " ".join(f"--{key} {value}" for key, value in options.items())
    if step >= training["steps"]:
        return train
    return f"{train} --piece {step}\n{start} export --out build/reference"


def _curves(tasks: Mapping[str, Mapping[str, Cell]]) -> str:
    numbers = {f"`{task}`": {label: _number(cell) for label, cell in cells.items()} for task, cells in tasks.items()}
    return _series("task", numbers, _ORDERS) or "Neither order was evaluated."


def _series(first: str, rows: Mapping[str, Mapping[str, str]], columns: Mapping[str, Mapping[str, str]]) -> str:
    """A table with several numbers to a cell; empty without any.

    Args:
        first: the head of the first column.
        rows: head of a row → label of a setting → its number.
        columns: head of a column → label of a setting → what is written of it into the head.
    """
    used = {
        head: found
        for head, labels in columns.items()
        if (found := {label: name for label, name in labels.items() if any(label in row for row in rows.values())})
    }
    if not used:
        return ""
    heads = [f"{head} {' / '.join(labels.values())}".rstrip() for head, labels in used.items()]
    cells = [
        [name, *(" ".join(row.get(label, "–") for label in labels) for labels in used.values())]
        for name, row in rows.items()
    ]
    head, *lines = (f"| {' | '.join(line)} |" for line in ([first, *heads], *cells))
    return "\n".join([head, "|" + "---|" * (len(heads) + 1), *lines])


def _thresholds(tasks: Mapping[str, Mapping[str, Cell]]) -> str:
    numbers = {
        f"`{task}`": {label: _with_speed(cell) for label, cell in cells.items()} for task, cells in tasks.items()
    }
    columns = {f"threshold {value}": {label: ""} for label, value in _THRESHOLDS["threshold"].items()}
    return _series("task", numbers, columns) or "No threshold was evaluated."


def _texts(tasks: Mapping[str, Mapping[str, Cell]]) -> str:
    """What the metric says of texts, one row for each of its averages; few of them need no grammar checker."""
    rows: dict[str, dict[str, str]] = {}
    for task, cells in tasks.items():
        for label, cell in cells.items():
            for part, value in cell.parts.items():
                rows.setdefault(f"`{task}`, {part}", {})[label] = f"{value:.0f}"
    missing = [f"`{task}`" for task, cells in tasks.items() if not any(cell.parts for cell in cells.values())]
    table = _series("task and average", rows, {**_ORDERS, **_THRESHOLDS})
    without = f"Without a grammar checker there are no scores of {' and '.join(missing)}." if missing else ""
    return "\n\n".join(part for part in (table, without) if part) or "The text tasks were not evaluated."


def _ideal(scores: Scores) -> str:
    if IDEAL not in scores:
        return "The ideal model was not run."
    lines = ["| task | setting | trained | ideal, greedy | ideal, sampled |", "|---|---|---|---|---|"]
    numbers: list[int] = []
    for task, cells in scores[IDEAL].items():
        for label, cell in cells.items():
            trained, greedy = (scores.get(model, {}).get(task, {}).get(label) for model in (REFERENCE, IDEAL_GREEDY))
            lines.append(f"| `{task}` | {label} | {_number(trained)} | {_number(greedy)} | {_number(cell)} |")
            numbers += [found.rows for found in (trained, greedy, cell) if found is not None]
    return "\n".join([*lines, "", f"Each number is of the first {_range(numbers)} test rows."])


def _mix(losses: Mapping[str, float]) -> str:
    total = sum(WEIGHTS.values())
    return "\n".join(
        f"| `{task}` | {100 * weight / total:.1f} % | {_loss(losses.get(task))} |" for task, weight in WEIGHTS.items()
    )


def _loss(loss: float | None) -> str:
    return "–" if loss is None else f"{loss:.4f}"


def _is_scored(cells: Mapping[str, Cell]) -> bool:
    """Whether a task's headline needs no grammar checker: lists and puzzles."""
    return all("score_strict" in cell.parts for cell in cells.values())


def _number(cell: Cell | None) -> str:
    return "–" if cell is None or cell.score is None else f"{cell.score:.0f}"


def _with_speed(cell: Cell) -> str:
    return f"{_number(cell)} @ {cell.tokens_per_step:.1f}"


def _range(numbers: Iterable[int]) -> str:
    found = sorted(set(numbers))
    return f"{found[0]}" if found[0] == found[-1] else f"{found[0]} to {found[-1]}"


def _parameters(directory: Path) -> int:
    from math import prod

    from safetensors import safe_open

    with safe_open(str(directory / "model.safetensors"), framework="pt") as file:
        return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
