"""Makes what the leaderboard shows of a run: one JSON entry, with no word on the machine but its hardware."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from benchmark.analysis.summary import PB_COUNTS, Summary
from benchmark.protocol.settings import model_names
from benchmark.store.runs import PAGE, RunStore

#: Version of an entry's form. Readers show entries of another one, and do not rank them.
SCHEMA = 1
_DIGITS = 4
_OF_MODELS = ("dtype", "revision", "parameters")


def make_entry(store: RunStore, summary: Summary, *, has_page: bool) -> dict[str, Any]:
    """The entry of a run.

    Args:
        store, summary: of the run, as it is public.
        has_page: whether its page is published beside it.

    Raises:
        ValueError: no method was finished on every task, so that there is no PBx.
    """
    if not summary.tokens_per_step_at:
        raise ValueError(f"{store.directory} has no method that is finished on all of its tasks; run it to the end")
    settings = summary.settings
    data = settings.get("data") or {}
    results = []
    for (model, curve_name), reached in summary.tokens_per_step_at.items():
        curve = next(curve for curve in summary.curves if curve.name == curve_name)
        ends = summary.pb_intervals.get((model, curve_name, PB_COUNTS[0]), {})
        points = [(method, summary.means[model, method]) for method in summary.on_every_task(curve, model)]
        results.append(
            {
                "model": model,
                "method": curve_name,
                **{f"pb{score}": _with_ends(value, ends.get(score)) for score, value in reached.items()},
                "points": [
                    {
                        "method": str(method),
                        "tokens_per_step": _round(point.tokens_per_step),
                        "headline": _round(point.headline),
                        "low": _round(point.low),
                        "high": _round(point.high),
                    }
                    for method, point in points
                ],
                "samples": min(point.samples for _, point in points),
                "hardware": [str(device) for device in settings.get("devices", {}).get(model, [])],
            }
        )  # fmt: skip
    entry = {
        "schema": SCHEMA,
        "parallelbench": settings.get("parallelbench") or "unknown",
        "versions": dict(settings.get("versions", {})),
        "data_version": str(data.get("version") or "unknown"),
        "tasks": {task: (data.get("checksums") or {}).get(task) for task in summary.tasks},
        "questions": settings.get("samples"),
        "seeds": list(settings.get("seeds", [0])),
        "temperature": settings.get("temperature"),
        "report": PAGE if has_page else None,
        "results": results,
    }
    # Named after its content: the same run is the same entry, and nobody's else.
    digest = hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()[:16]
    return {**entry, "id": digest}


def environment_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a run was made with: versions, hardware and what was asked of the models; no path and no address.

    Args:
        settings: of the run, as it is public.
    """
    records = {entry["name"]: entry for entry in settings["models"] if not isinstance(entry, str)}
    return {
        "parallelbench": settings.get("parallelbench"),
        "versions": settings.get("versions", {}),
        "devices": settings.get("devices", {}),
        "models": {
            model: {key: records[model][key] for key in _OF_MODELS if key in records.get(model, {})}
            for model in model_names(settings)
        },
        "new_tokens": settings.get("new_tokens", {}),
        "data": settings.get("data"),
        "temperature": settings.get("temperature"),
        "seeds": settings.get("seeds"),
        "samples": settings.get("samples"),
    }


def _with_ends(value: float | None, ends: tuple[float | None, float | None] | None) -> dict[str, float | None]:
    low, high = ends or (None, None)
    return {"value": _round(value), "low": _round(low), "high": _round(high)}


def _round(value: float | None) -> float | None:
    return None if value is None or value != value else round(value, _DIGITS)
