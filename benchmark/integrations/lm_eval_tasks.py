"""The benchmark's tasks for lm-eval: YAML files that are generated from the dataset, and what they refer to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from benchmark.protocol.questions import Row

#: Before the names of tasks in lm-eval, and the name of their group.
GROUP = "parallelbench"
_HERE = "benchmark.integrations.lm_eval_tasks"


def write_tasks(rows: Mapping[str, Sequence[Row]], directory: Path) -> list[Path]:
    """Write what lm-eval's `--include_path` takes: of each task its rows and a YAML file, and one for the group.

    Args:
        rows: task → its questions.
        directory: where; files of the same names are replaced. The YAML files name the rows by their whole path, so a
            directory that is moved is written anew.

    Returns:
        The YAML files.
    """
    import yaml

    from hub_dataset.disk import write_atomically

    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for task, asked in rows.items():
        data = directory / f"{task}.jsonl"
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in asked)
        write_atomically(data, lines.encode())
        text = yaml.safe_dump(_task(task, asked, data), sort_keys=False, allow_unicode=True)
        # What comes from this module is named by tags, which no dictionary holds.
        text = f"class: !function {_HERE}.TASK\nprocess_results: !function {_HERE}.scores\n{text}"
        written.append(directory / f"{GROUP}_{task}.yaml")
        write_atomically(written[-1], text.encode())
    group = {
        "group": GROUP,
        "task": [f"{GROUP}_{task}" for task in rows],
        "aggregate_metric_list": [{"metric": "headline", "aggregation": "mean", "weight_by_size": False}],
        "metadata": {"version": _version()},
    }
    written.append(directory / f"{GROUP}.yaml")
    write_atomically(written[-1], yaml.safe_dump(group, sort_keys=False).encode())
    return written


def _task(task: str, rows: Sequence[Row], data: Path) -> dict[str, Any]:
    """A task's file, but for what it takes from this module."""
    return {
        "task": f"{GROUP}_{task}",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{answer}}",
        # The shots of a question are its own.
        "num_fewshot": 0,
        "generation_kwargs": {
            "until": [],
            "max_gen_toks": max(row["max_new_tokens"] for row in rows),
            "do_sample": False,
            "temperature": 0.0,
        },
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in _metrics(rows)
        ],
        "metadata": {"version": _version()},
    }


def _metrics(rows: Sequence[Row]) -> list[str]:
    """Names of the scores that the rows' answers have."""
    from benchmark.engine.scoring import is_text

    return ["headline", "score"] if is_text(rows[0]["reference"]) else ["headline", "score", "score_strict"]


def _version() -> str:
    from hub_dataset.version import DATA_VERSION

    return DATA_VERSION


def scores(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Our metric's scores of an answer, 0 to 1; called by lm-eval."""
    from benchmark.models.interface import failed_sample

    row: Row = dict(doc)
    sample = {**failed_sample(row, ""), "prediction": results[0]}
    (scored,), _ = _scorer().score([row], [sample])
    found: dict[str, float] = scored["scores"]
    return {metric: found[metric] for metric in _metrics([row]) if metric in found}


@cache
def _scorer() -> Any:
    from benchmark.engine.scoring import Scorer

    return Scorer()


def __getattr__(name: str) -> Any:
    """`TASK`, a class of lm-eval's kind, which is imported when it is asked for."""
    if name == "TASK":
        from benchmark.integrations.lm_eval_task import ParallelBenchTask

        return ParallelBenchTask
    raise AttributeError(name)
