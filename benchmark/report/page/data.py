"""What the page's script draws, as plain JSON: the numbers of summary.json, the styles of curves, samples and steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.analysis.curves import Curve
from benchmark.analysis.summary import Summary
from benchmark.protocol.method import BLOCK_LENGTH
from benchmark.protocol.settings import Key
from benchmark.report.page.colours import on_dark
from benchmark.report.page.samples import SampleKeeper, questions, sample_json
from benchmark.report.plot_styles import LINE_STYLES, style_of
from benchmark.report.published import LABEL, published_curves, published_means
from benchmark.report.theory_plots import plain_curve, unbroken

#: The numbers of a point, in the order in which the page has them.
COLUMNS = (
    "headline", "low", "high", "tokens_per_step", "content_tokens_per_step", "tokens_per_forward_pass",
    "num_forward_passes", "tokens_per_second", "item_tokens_per_step", "kendall_tau", "kendall_tau_answer",
    "spearman_rho", "spearman_rho_answer", "samples",
)  # fmt: skip
# Matplotlib's markers as the symbols of Vega, or as paths in a box from -1 to 1.
_SYMBOLS = {
    "o": "circle", "s": "square", "D": "diamond", "d": "diamond", "v": "triangle-down", "^": "triangle-up",
    ">": "triangle-right", "<": "triangle-left", "P": "cross",
    "X": "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z",
    "*": "M0,-1L.24,-.32L.95,-.31L.38,.12L.59,.81L0,.4L-.59,.81L-.38,.12L-.95,-.31L-.24,-.32Z",
    "h": "M0,-1L.87,-.5L.87,.5L0,1L-.87,.5L-.87,-.5Z", "H": "M-.5,-.87L.5,-.87L1,0L.5,.87L-.5,.87L-1,0Z",
    "p": "M0,-1L.95,-.31L.59,.81L-.59,.81L-.95,-.31Z",
}  # fmt: skip
_DASHES: dict[Any, list[float]] = {"-": [], "--": [6, 4], ":": [2, 3], "-.": [7, 3, 2, 3]}
# More settings than this have their steps shown for one speed of each curve.
_MOST_STEPS = 1200


def page_data(summary: Summary, numbers: Mapping[str, Any], keeper: SampleKeeper) -> dict[str, Any]:
    """Everything that is drawn, see the keys.

    Args:
        summary: of the run.
        numbers: its `summary_json`: what the page says is what that file says.
        keeper: what was kept of the samples.
    """
    models, tasks = list(numbers["models"]), list(numbers["tasks"])
    names = [entry["method"] for entry in numbers["methods"]]
    curves = [curve.name for curve in summary.curves]
    model_at, task_at, method_at = ({name: at for at, name in enumerate(each)} for each in (models, tasks, names))
    schedulers = [curve.scheduler for curve in summary.curves]
    return {
        "columns": COLUMNS,
        "models": [
            {"name": name, "dash": _dash(at), "best": round(summary.best_mean(name), 6) if tasks else 100}
            for at, name in enumerate(models)
        ],
        "tasks": tasks,
        "curves": [
            {
                "name": curve.name,
                "scheduler": curve.scheduler,
                "adaptive": curve.adaptive,
                "parameter": curve.parameter,
                "family": _family(curve),
                "block": dict(curve.fixed).get(BLOCK_LENGTH),
                **_style(*style_of(curve, summary.curves)),
            }
            for curve in summary.curves
        ],
        "methods": [
            {
                "name": entry["method"],
                "curve": curves.index(entry["curve"]),
                "value": entry["value"],
                "block": entry["block_length"],
            }
            for entry in numbers["methods"]
        ],
        "results": [
            [model_at[e["model"]], task_at[e["task"]], method_at[e["method"]], *(e.get(name) for name in COLUMNS)]
            for e in numbers["results"]
        ],
        "means": [
            [model_at[e["model"]], -1, method_at[e["method"]], *(e.get(name) for name in COLUMNS)]
            for e in numbers["mean_over_tasks"]
        ],
        "closed_forms": [
            {"task": task_at[entry["task"]], **_closed_form(summary, entry)} for entry in numbers["closed_forms"]
        ],
        "published": {
            "label": LABEL,
            "curves": [
                [curve.model, task_at.get(curve.task, -1), curve.scheduler, curve.points]
                for curve in (*published_means(tasks, schedulers), *published_curves(tasks, schedulers))
            ],
        },
        "steps": [
            [model_at[key[0]], task_at[key[1]], method_at[str(key[2])], steps]
            for key, steps in keeper.steps.items()
            if len(keeper.steps) <= _MOST_STEPS or _stands_for_its_curve(summary, key)
        ],
        "samples": _samples(keeper, model_at, task_at, method_at),
    }


def _family(curve: Curve) -> str:
    """The scheduler with what is the same along a curve, but for the block length."""
    fixed = ", ".join(f"{key}={value}" for key, value in curve.fixed if key != BLOCK_LENGTH)
    return f"{curve.scheduler}({fixed})" if fixed else curve.scheduler


def _closed_form(summary: Summary, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A closed form in stretches, and the curve of what was measured beside it."""
    curve = plain_curve(summary, entry["scheduler"])
    return {
        "scheduler": entry["scheduler"],
        "greedy": entry["greedy"],
        "curve": None if curve is None else summary.curves.index(curve),
        "stretches": unbroken(entry["scheduler"], entry["points"]),
    }


def _dash(number: int) -> list[float]:
    style = LINE_STYLES[number % len(LINE_STYLES)]
    return _DASHES[style] if isinstance(style, str) else list(style[1])


def _style(colour: str, marker: str) -> dict[str, str]:
    """A colour for light paper and one for dark, and the marker."""
    return {"colour": colour, "dark": on_dark(colour), "symbol": _SYMBOLS.get(marker, "circle")}


def _stands_for_its_curve(summary: Summary, key: Key) -> bool:
    methods = summary.on_task(summary.curve_of(key[2]), key[0], key[1])
    return bool(methods) and key[2] == methods[len(methods) // 2]


def _samples(
    keeper: SampleKeeper, model_at: Mapping[str, int], task_at: Mapping[str, int], method_at: Mapping[str, int]
) -> list[dict[str, Any]]:
    found = []
    rows_of: dict[str, list[Mapping[str, Any]]] = {}
    for (_, task, _), shown in keeper.shown.items():
        rows_of.setdefault(task, []).extend(row for _, row in shown)
    known = {task: questions(task, rows) for task, rows in rows_of.items()}
    for (model, task, method), shown in keeper.shown.items():
        found.append(
            {
                "model": model_at[model],
                "task": task_at[task],
                "method": method_at[str(method)],
                "of": keeper.counts[model, task, method],
                "shown": [sample_json(seed, row, known[task].get(row["id"])) for seed, row in shown],
            }
        )
    return found
