"""The page: one HTML file that opens from a disk, from a template, a stylesheet and plain scripts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from benchmark.analysis.summary import PB_SCORES, Summary
from benchmark.report.count_tables import COUNT_NAMES, PADDING, differing_counts
from benchmark.report.page.data import page_data
from benchmark.report.page.library import plotting_script
from benchmark.report.page.samples import SampleKeeper
from benchmark.report.published import LABEL
from benchmark.report.tables import ABSENT, number

_SCRIPTS = ("state.js", "charts.js", "player.js", "samples.js", "page.js")
_MOST_MISSING = 100


def page_html(summary: Summary, numbers: Mapping[str, Any], keeper: SampleKeeper, notes: list[str]) -> bytes:
    """The page of a report, the same bytes for the same samples and versions.

    Args:
        summary: of the run, or of several.
        numbers: its `summary_json`; the page says these numbers and no others.
        keeper: was told of the samples while `summary` was made.
        notes: lines below the tables.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    room = Environment(
        loader=PackageLoader(__package__, ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    room.filters |= {"shown": _shown, "interval": _interval}
    data = page_data(summary, numbers, keeper)
    library = plotting_script()
    scripts = [*([library] if library else []), *map(_part, _SCRIPTS)]
    # A script inside the page ends at the first </script, whatever it stands in.
    scripts = [script.replace("</script", "<\\/script") for script in scripts]
    text = room.get_template("page.html").render(
        numbers=numbers,
        settings=summary.settings,
        notes=notes,
        seconds=keeper.seconds,
        headlines=_headlines(summary, numbers),
        results=_by_model_and_task(numbers),
        missing=numbers["missing"][:_MOST_MISSING],
        data=_json(data),
        scripts=scripts,
        policy=_policy(scripts),
        style=_part("page.css"),
        has_library=library is not None,
        padding=PADDING,
        published_label=LABEL,
        pb_names=[f"pb{score}" for score in PB_SCORES],
        pb_counts={
            "tokens_per_step": "tokens per step",
            **{name: COUNT_NAMES[name] for name in differing_counts(summary)},
        },
    )
    # A lone surrogate in a name is no character; it stands there as it is written in Python.
    return text.encode("utf-8", "backslashreplace")


def _shown(value: float | None, digits: int = 1) -> str:
    """A number as the terminal's tables have it, and a longer dash."""
    return "–" if (text := number(value, digits)) == ABSENT else text


def _interval(ends: Sequence[float | None], digits: int = 1) -> str:
    return f"[{_shown(ends[0], digits)}, {_shown(ends[1], digits)}]"


def _part(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _json(data: Any) -> str:
    """JSON that holds nothing that HTML could take for a tag or a comment."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(scripts: list[str]) -> str:
    """No network, and no script but ours: what a model answers stays text even if a mistake let it out.

    Vega compiles its expressions, which is `unsafe-eval`.
    """
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return f"default-src 'none'; script-src 'unsafe-eval' {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def _headlines(summary: Summary, numbers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each model and curve: PBx, the interval at its best mean, and the oracle."""
    means: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    curve_of = {entry["method"]: entry["curve"] for entry in numbers["methods"]}
    for entry in numbers["mean_over_tasks"]:
        means.setdefault((entry["model"], curve_of[entry["method"]]), []).append(entry)
    rows = []
    for entry in numbers["curves"]:
        points = means.get((entry["model"], entry["curve"]), [])
        if points or entry["oracle"]:
            rows.append({**entry, "points": points, "best": max(points, key=lambda p: p["headline"], default=None)})
    return rows


def _by_model_and_task(numbers: Mapping[str, Any]) -> dict[str, dict[str, list[Mapping[str, Any]]]]:
    found: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for entry in numbers["results"]:
        found.setdefault(entry["model"], {}).setdefault(entry["task"], []).append(entry)
    return found
