"""The report of a run, or of several, from what is on disk alone: summary.json, summary.csv, plots, and the tables."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.analysis.curves import Curve
from benchmark.analysis.summary import PB_COUNTS, PB_SCORES, Oracle, Point, Summary, summarise
from benchmark.protocol.method import Method
from benchmark.protocol.settings import settings_groups, settings_keys
from benchmark.report.count_tables import count_tables
from benchmark.report.model_tables import model_tables
from benchmark.report.page.samples import SampleKeeper
from benchmark.report.page.writing import page_html
from benchmark.report.plots import write_plots
from benchmark.report.tables import (
    comparison_tables,
    mean_tables,
    missing_line,
    notes,
    task_statistics_tables,
    task_tables,
    text_tables,
)
from benchmark.report.theory_plots import panels
from benchmark.store.merging import MergedRuns
from benchmark.store.runs import PAGE, RunStore
from hub_dataset.disk import write_atomically

if TYPE_CHECKING:
    from rich.console import RenderableType

# Beyond these digits a mean of percentages says nothing, and sums differ between machines.
_DIGITS = 6


_ORDER_COLUMNS = {
    "kendall_tau": "kendall",
    "spearman_rho": "spearman",
    "kendall_tau_answer": "kendall_answer",
    "spearman_rho_answer": "spearman_answer",
}


@dataclass(frozen=True, slots=True)
class Report:
    """What `write_report` found and wrote; `files` are the summary files, the page, then the plots."""

    directory: Path
    summary: Summary
    files: tuple[Path, ...]

    @property
    def complete(self) -> bool:
        """Whether all that the run has is on disk."""
        return len(self.summary.points) == len(self.summary.keys)

    @property
    def missing_line(self) -> str | None:
        """One line that says how much is missing, or None when all are there."""
        return missing_line(self.summary)

    def renderables(self) -> list[RenderableType]:
        """What a command line prints with rich, in order: tables of tasks and of methods, then notes on them.

        `missing_line` is not among them.
        """
        from rich.text import Text

        kinds = (
            task_tables,
            text_tables,
            comparison_tables,
            model_tables,
            task_statistics_tables,
            mean_tables,
            count_tables,
        )
        tables = [table for kind in kinds for table in kind(self.summary)]
        return [*(part for table in tables for part in (table, Text(""))), *map(Text, notes(self.summary))]


def write_report(*run_directories: str | Path, output: str | Path | None = None, published: bool = False) -> Report:
    """Compute and write the report of a run, finished or not; an earlier report is replaced.

    Several runs are reported as one, see `MergedRuns`; nothing is written into their directories.

    Nothing but the directories is read, so that the report can be made anew on another machine. The same samples give
    the same files, byte for byte, with the same versions of the libraries.

    Args:
        run_directories: one or more.
        output: where the report goes, outside of the runs; None, for a single run, is the run's own directory.
        published: whether the paper's curves stand behind those of the plots; the page has a switch for them.

    Raises:
        ValueError: a directory holds no run, several runs have no `output` or do not go into one report.
    """
    store: RunStore | MergedRuns
    own = len(run_directories) == 1 and (output is None or Path(output).resolve() == Path(run_directories[0]).resolve())
    if own:
        store = RunStore(run_directories[0])
    elif output is not None:
        store = MergedRuns(run_directories, output)
    else:
        raise ValueError("a report of several runs needs a directory of its own: name it as output")
    keeper = SampleKeeper(len(settings_keys(settings_groups(store.read_settings()))))
    summary = summarise(store, keeper)
    numbers = summary_json(summary)
    with store.report_lock():
        json_path, csv_path = store.directory / "summary.json", store.directory / "summary.csv"
        text = json.dumps(numbers, indent=1, allow_nan=False)
        write_atomically(json_path, text.encode() + b"\n")
        write_atomically(csv_path, summary_csv(summary).encode("utf-8", "backslashreplace"))
        page_path = store.directory / PAGE
        write_atomically(page_path, page_html(summary, numbers, keeper, notes(summary)))
        plots = write_plots(summary, store.directory, published=published)
    return Report(store.directory, summary, (json_path, csv_path, page_path, *plots))


def summary_json(summary: Summary) -> dict[str, Any]:
    """The summary as plain JSON objects in a fixed order; headlines and scores are percentages."""
    per_task = [
        (model, task, curve.name) for model in summary.models for task in summary.tasks for curve in summary.curves
    ]
    return {
        "format": 3,
        "settings_expected": len(summary.keys),
        "settings_present": len(summary.points),
        "missing": [[*key[:2], str(key[2])] for key in summary.keys if key not in summary.points],
        "models": summary.models,
        "tasks": summary.tasks,
        **({"runs": summary.settings["runs"]} if "runs" in summary.settings else {}),
        "signatures": summary.signatures,
        "best_scores": [
            {"model": model, "task": task, "best": _rounded(best)}
            for (model, task), best in summary.best_scores.items()
        ],
        "methods": [{"method": str(method), **_method_json(summary, method)} for method in summary.methods],
        "results": [
            {
                "model": key[0],
                "task": key[1],
                "method": str(key[2]),
                **_point_json(summary.points[key]),
                "scores": {name: _rounded(value) for name, value in summary.points[key].scores.items()},
            }
            for key in summary.keys
            if key in summary.points
        ],
        "mean_over_tasks": [
            {"model": model, "method": str(method), **_point_json(summary.means[model, method])}
            for model in summary.models
            for method in summary.methods
            if (model, method) in summary.means
        ],
        "curves": [_curve_json(summary, model, curve) for model in summary.models for curve in summary.curves],
        "parallelizability": [
            {"model": key[0], "task": key[1], "curve": key[2], "value": _rounded(summary.parallelizability[key])}
            for key in per_task
            if key in summary.parallelizability
        ],
        "oracle": [
            {"model": key[0], "task": key[1], "curve": key[2], **_oracle_json(summary.oracles[key])}
            for key in per_task
            if key in summary.oracles
        ],
        "closed_forms": [
            {
                "task": task,
                "scheduler": panel.scheduler,
                "greedy": form.greedy,
                "points": [[_rounded(value) for value in point] for point in form.points],
            }
            for task in summary.tasks
            for panel in panels(summary, task)
            for form in panel.forms
        ],
        "order_preference": [
            {
                "model": model,
                "task": task,
                "scheduler": name,
                "slope": _rounded(slope),
                "methods": list(map(str, summary.measured_by[name])),
            }
            for (model, task, name), slope in summary.order_preference.items()
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None or value != value else round(value, _DIGITS)


def _point_json(point: Point) -> dict[str, Any]:
    order = point.order
    return {
        "headline": _rounded(point.headline),
        "low": _rounded(point.low),
        "high": _rounded(point.high),
        "score_strict": _rounded(point.score_strict),
        "tokens_per_step": _rounded(point.tokens_per_step),
        "num_rounds": _rounded(point.num_rounds),
        "num_forward_passes": _rounded(point.num_forward_passes),
        "item_tokens_per_step": _rounded(point.item_tokens_per_step),
        "samples": point.samples,
        "seeds": point.seeds,
        "seed_deviation": _rounded(point.seed_deviation),
        "tokens_per_second": _rounded(point.tokens_per_second),
        "seconds_to_first_token": _rounded(point.seconds_to_first_token),
        "content_tokens_per_step": _rounded(point.content_tokens_per_step),
        "tokens_per_forward_pass": _rounded(point.tokens_per_forward_pass),
        **{name: None if order is None else _rounded(getattr(order, of)) for name, of in _ORDER_COLUMNS.items()},
    }


def _oracle_json(oracle: Oracle) -> dict[str, Any]:
    return {
        "headline": _rounded(oracle.headline),
        "tokens_per_step": _rounded(oracle.tokens_per_step),
        "num_forward_passes": _rounded(oracle.num_forward_passes),
        "samples": oracle.samples,
    }


def _method_json(summary: Summary, method: Method) -> dict[str, Any]:
    curve = summary.curve_of(method)
    return {
        "curve": curve.name,
        "parameter": curve.parameter,
        "value": curve.value(method),
        "block_length": method.block_length,
    }


def _curve_json(summary: Summary, model: str, curve: Curve) -> dict[str, Any]:
    reached = summary.tokens_per_step_at.get((model, curve.name))
    oracle = summary.mean_oracles.get((model, curve.name))
    speeds = {f"pb{score}": None if reached is None else _rounded(reached[score]) for score in PB_SCORES}
    return {
        "model": model,
        "curve": curve.name,
        "adaptive": curve.adaptive,
        "complete": reached is not None,
        **speeds,
        "largest": None
        if reached is None
        else {
            count: {f"pb{x}": _rounded(value) for x, value in summary.largest_at[model, curve.name, count].items()}
            for count in PB_COUNTS
        },
        "intervals": {
            count: {
                f"pb{x}": [*map(_rounded, ends)] for x, ends in summary.pb_intervals[model, curve.name, count].items()
            }
            for count in PB_COUNTS
            if (model, curve.name, count) in summary.pb_intervals
        },
        "oracle": None if oracle is None else _oracle_json(oracle),
    }


def summary_csv(summary: Summary) -> str:
    """One line per model, task and method that is on disk; means over tasks are in the JSON file only.

    `order_preference` stands beside the methods that it was measured by.
    """
    preferences = {
        (model, task, method): slope
        for (model, task, name), slope in summary.order_preference.items()
        for method in summary.measured_by[name]
    }
    columns = ["model", "task", "method", "curve", "parameter", "value", "block_length", "headline", "low", "high"]
    columns += ["score_strict", "tokens_per_step", "num_rounds", "num_forward_passes", "samples", "order_preference"]
    columns += ["seeds", "seed_deviation", "tokens_per_second", "seconds_to_first_token"]
    columns += ["content_tokens_per_step", "tokens_per_forward_pass", *_ORDER_COLUMNS]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for key in summary.keys:
        if key in summary.points:
            named = dict(zip(columns, key, strict=False), order_preference=_rounded(preferences.get(key)))
            writer.writerow({**named, **_method_json(summary, key[2]), **_point_json(summary.points[key])})
    return buffer.getvalue()
