"""The worker processes that options of `parallelbench run` ask for, and what each of them has to know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.protocol.operating_points import SERVICE
from benchmark.protocol.settings import RunSettings, describe_scheduler

if TYPE_CHECKING:
    from benchmark.cli.run_options import RunOptions
    from benchmark.engine.crew import Crew
    from benchmark.engine.placement import Placement


def crew_for(placement: Placement, settings: RunSettings, options: RunOptions, names: Sequence[str]) -> Crew | None:
    """Workers for the models of these names, but for services, which this process asks.

    Raises:
        ValueError: there is nothing for workers that were asked for.
    """
    from benchmark.engine.crew import Crew
    from benchmark.engine.portions import WorkerSetup

    models = {name: name for name in names if not name.startswith(SERVICE)}
    if not models and (options.gpus, options.workers, options.ray) != (None, None, None):
        raise ValueError(
            "--gpus, --workers, --ray: services, and models given as objects, answer in this process alone"
        )
    setup = WorkerSetup(
        models=models,
        options=options.for_models,
        records={name: settings.model_records[name] for name in models},
        sources={name: describe_scheduler(name) for name in {method.name for method in settings.methods}},
        directory=str(Path.cwd()),
        threads=placement.threads if placement.device == "cpu" else None,
    )
    return Crew(placement, setup) if models else None
