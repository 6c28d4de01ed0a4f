"""What is checked before a run decodes anything: its references, and what its models can do of its tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.protocol.questions import Row
from benchmark.protocol.settings import RunSettings
from benchmark.protocol.tasks import Catalogue

if TYPE_CHECKING:
    from benchmark.models import BenchmarkModel


def check_references(catalogue: Catalogue, rows: Mapping[str, Sequence[Row]]) -> None:
    """Refuse references of the user's own rows that the metric cannot read; those of text it reads before decoding."""
    from benchmark.engine.scoring import Scorer

    scorer = Scorer()
    for task, asked in rows.items():
        if "directory" in (catalogue[task].source or {}):
            scorer.check(task, [row["reference"] for row in asked])


def check_models(
    models: Sequence[BenchmarkModel], rows: dict[str, list[Row]], settings: RunSettings, allow_unanswerable: bool
) -> dict[str, Any]:
    """What models can do in part only: lines on it, and the best scores that are left where they are below 100.

    Raises:
        ValueError: a model cannot do a task, or no right answer of one fits and `allow_unanswerable` is false.
    """
    from hub_dataset.fit import answer_fit

    notices: list[str] = []
    best_scores: dict[str, dict[str, float]] = {}
    for model in models:
        for task, asked in rows.items():
            if not settings.methods_of(model.name, task):
                continue
            new_tokens = settings.new_tokens(model, task, asked)
            try:
                notice = model.check_task(asked, new_tokens)
            except ValueError as error:
                raise ValueError(f"{model.name} on {task}: {error}") from error
            if notice is not None:
                notices.append(f"{model.name} on {task}: {notice}")
            count_tokens = model.token_counter()
            if count_tokens is None:
                continue
            fit = answer_fit(asked, new_tokens, count_tokens)
            if fit.too_long == fit.rows and not allow_unanswerable:
                raise ValueError(f"{model.name} on {task}: {fit.limit()}; --allow-unanswerable runs it all the same")
            if fit.limit() is not None:
                notices.append(f"{model.name} on {task}: {fit.limit()}")
            if fit.too_long:
                best_scores.setdefault(model.name, {})[task] = fit.best_score
    return {"notices": notices, "best_scores": best_scores}
