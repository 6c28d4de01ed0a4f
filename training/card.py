"""The model card: `card.md` filled in from runs of `parallelbench`, the training log and the model's config."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.analysis.curves import Curve
from benchmark.analysis.summary import Point, Summary, summarise
from benchmark.models import IDEAL, IDEAL_GREEDY, HubModel, ModelOptions
from benchmark.protocol.method import Method
from benchmark.store.merging import MergedRuns
from benchmark.store.runs import RunStore

from .examples import WEIGHTS
from .training import LOG, read_log

TEMPLATE = Path(__file__).resolve().with_name("card.md")
# Logged batches over which the last losses are averaged: a rare task has a handful of prompts in one of them.
_LAST = 10
# Which scores of a text are shown: of one with given words, and of one that is open-ended.
_OF_SENTENCES, _OF_TEXTS = ("inclusion", "grammar", "score"), ("grammar",)
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


@dataclass(frozen=True, slots=True)
class Measured:
    """What runs say of the trained model and of the ideal one in its tokens.

    `own`, `sampled` and `greedy` are names of models, the latter two None where the ideal model was not run.
    """

    summary: Summary
    entry: Mapping[str, Any]
    devices: tuple[str, ...]
    sampled: str | None
    greedy: str | None

    @property
    def own(self) -> str:
        """The name of the trained model."""
        name: str = self.entry["name"]
        return name

    def points(self, model: str | None, task: str) -> dict[Method, Point]:
        """Method → what `model` reaches on a task under it."""
        points = self.summary.points
        return {key[2]: point for key, point in points.items() if key[:2] == (model, task)}

    def columns(self, scheduler: str) -> dict[Method, str]:
        """Method → its value along the parameter of speed of a scheduler, all else as it is by default."""
        curves = [curve for curve in self.summary.curves if _is_plain(curve, scheduler)]
        return {method: f"{curve.value(method):g}" for curve in curves for method in curve.methods}


def read_runs(directory: Path, runs: Sequence[Path]) -> Measured:
    """What the runs in some directories say of the model in `directory`.

    Raises:
        ValueError: a directory holds no run, two do not go together, or they hold another model than this one and the
            ideal one in its tokens, or the same with other weights.
    """
    summary = summarise(MergedRuns(runs, directory))
    revision = HubModel(str(directory), ModelOptions()).record()["revision"]
    kinds: dict[str, dict[str, Any]] = {}
    for entry in summary.settings["models"]:
        name = entry if isinstance(entry, str) else entry["name"]
        if isinstance(entry, str) or entry.get("revision") != revision:
            raise ValueError(
                f"the runs hold {name!r}, which is not the model in {directory} as it is now; run it again"
            )
        kind = name.partition(":")[0]
        kind = kind if kind in (IDEAL, IDEAL_GREEDY) else ""
        if kind in kinds:
            raise ValueError(f"the runs hold the model in {directory} as {kinds[kind]['name']!r} and as {name!r}")
        kinds[kind] = entry
    if "" not in kinds:
        raise ValueError(f"none of the runs is of the model in {directory}")
    settings = [RunStore(run).read_settings() for run in runs]
    devices = [name for each in settings for name in each.get("devices", {}).get(kinds[""]["name"], [])]
    ideal, greedy = (kinds.get(kind, {}).get("name") for kind in (IDEAL, IDEAL_GREEDY))
    return Measured(summary, kinds[""], tuple(dict.fromkeys(devices)), ideal, greedy)


def card_text(directory: Path, measured: Measured) -> str:
    """The card of the model in `directory`, with `config.json`, `model.safetensors` and `training_log.jsonl`.

    Raises:
        ValueError: the runs have neither lists nor puzzles.
    """
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    pieces, log = read_log(directory / LOG)
    training = pieces[-1]["config"]
    of_tasks = {task: found for task in measured.summary.tasks if (found := measured.points(measured.own, task))}
    lists = {task: points for task, points in of_tasks.items() if not _is_text(points)}
    if not lists:
        raise ValueError(f"the runs of {measured.own} have neither lists nor puzzles")
    counts = [point.samples for points in lists.values() for point in points.values()]
    last = log[-1]
    devices = dict.fromkeys(piece["device"] for piece in pieces)
    values = {
        "parameters": f"{_parameters(directory) / 1e6:.1f} M",
        "rows": _range(counts),
        "new_tokens": _new_tokens(measured),
        "spread": f"{50 / min(counts) ** 0.5:.0f}",
        "measured": _measured(measured),
        "curves": _curves(measured, lists),
        "thresholds": _thresholds(measured, lists),
        "texts": _texts(measured, {task: points for task, points in of_tasks.items() if task not in lists}),
        "ideal": _ideal(measured),
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
        "last": _LAST,
        "mix": _mix(log),
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


def _is_plain(curve: Curve, scheduler: str) -> bool:
    """Whether a curve is of a scheduler with nothing set but its speed."""
    return curve.scheduler == scheduler and curve.parameter is not None and not curve.fixed


def _orders(measured: Measured) -> dict[str, dict[Method, str]]:
    """Columns of the orders that commit k tokens a step: head → method → its k."""
    return {f"{order} order, k =": measured.columns(order) for order in ("confidence", "random")}


def _curves(measured: Measured, tasks: Mapping[str, Mapping[Method, Point]]) -> str:
    numbers = {
        f"`{task}`": {label: _number(point) for label, point in points.items()} for task, points in tasks.items()
    }
    return _series("task", numbers, _orders(measured)) or "Neither order was evaluated."


def _series(first: str, rows: Mapping[str, Mapping[Method, str]], columns: Mapping[str, Mapping[Method, str]]) -> str:
    """A table with several numbers to a cell; empty without any.

    Args:
        first: the head of the first column.
        rows: head of a row → method → its number.
        columns: head of a column → method → what is written of it into the head.
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


def _thresholds(measured: Measured, tasks: Mapping[str, Mapping[Method, Point]]) -> str:
    numbers = {
        f"`{task}`": {label: f"{point.headline:.0f} @ {point.tokens_per_step:.1f}" for label, point in points.items()}
        for task, points in tasks.items()
    }
    columns = {f"threshold {value}": {label: ""} for label, value in measured.columns("threshold").items()}
    return _series("task", numbers, columns) or "No threshold was evaluated."


def _texts(measured: Measured, tasks: Mapping[str, Mapping[Method, Point]]) -> str:
    """What the metric says of texts, one row for each of its averages."""
    rows: dict[str, dict[Method, str]] = {}
    for task, points in tasks.items():
        for label, point in points.items():
            for part in _OF_SENTENCES if "inclusion" in point.scores else _OF_TEXTS:
                rows.setdefault(f"`{task}`, {part}", {})[label] = f"{point.scores[part]:.0f}"
    columns = {**_orders(measured), "threshold": measured.columns("threshold")}
    return _series("task and average", rows, columns) or "The text tasks were not evaluated."


def _ideal(measured: Measured) -> str:
    if measured.sampled is None and measured.greedy is None:
        return "The ideal model was not run."
    lines = ["| task | setting | trained | ideal, greedy | ideal, sampled |", "|---|---|---|---|---|"]
    counts: list[int] = []
    for task in measured.summary.tasks:
        models = (measured.own, measured.greedy, measured.sampled)
        own, greedy, sampled = (measured.points(model, task) for model in models)
        for method in [method for method in measured.summary.methods if method in greedy or method in sampled]:
            points = [found.get(method) for found in (own, greedy, sampled)]
            lines.append(f"| `{task}` | {method} | {' | '.join(map(_number, points))} |")
            counts += [point.samples for point in points if point is not None]
    return "\n".join([*lines, "", f"Each number is of the first {_range(counts)} test rows."])


def _mix(log: Sequence[Mapping[str, Any]]) -> str:
    """Share and loss of each task of the mix: the mean over the last logged batches that had the task."""
    total = sum(WEIGHTS.values())
    losses = {task: [entry["loss_by_task"][task] for entry in log if task in entry["loss_by_task"]] for task in WEIGHTS}
    return "\n".join(
        f"| `{task}` | {100 * weight / total:.1f} % | {_loss(losses[task][-_LAST:])} |"
        for task, weight in WEIGHTS.items()
    )


def _loss(losses: Sequence[float]) -> str:
    return f"{sum(losses) / len(losses):.4f}" if losses else "–"


def _measured(measured: Measured) -> str:
    devices = " and ".join(measured.devices) or "a device that the runs do not name"
    return (
        f"Measured in {measured.entry['dtype']} on {devices}. Elsewhere logits differ in their last bits, so a cell\n"
        "may come out a point or so higher or lower."
    )


def _new_tokens(measured: Measured) -> str:
    """Tokens that were generated for an answer."""
    groups = [group for group in measured.summary.settings["groups"] if measured.own in group["models"]]
    numbers = {group["new_tokens"] or measured.entry.get("answer_length") for group in groups}
    number = numbers.pop() if len(numbers) == 1 else None
    return "as many new tokens as the task asks for" if number is None else f"{number} new tokens"


def _is_text(points: Mapping[Method, Point]) -> bool:
    """Whether a task's answers are text; lists and puzzles are scored strictly too."""
    return any(point.is_of_text for point in points.values())


def _number(point: Point | None) -> str:
    return "–" if point is None else f"{point.headline:.0f}"


def _range(numbers: Iterable[int]) -> str:
    found = sorted(set(numbers))
    return f"{found[0]}" if found[0] == found[-1] else f"{found[0]} to {found[-1]}"


def _parameters(directory: Path) -> int:
    from math import prod

    from safetensors import safe_open

    with safe_open(str(directory / "model.safetensors"), framework="pt") as file:
        return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
