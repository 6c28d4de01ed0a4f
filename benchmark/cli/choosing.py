"""What a run takes: the grid that options name, its groups and the models of its names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmark.protocol.questions import Row
from benchmark.protocol.tasks import Catalogue

if TYPE_CHECKING:
    from benchmark.cli.run_options import RunOptions
    from benchmark.models import BenchmarkModel, ModelOptions
    from benchmark.protocol.grids import Grid
    from benchmark.protocol.settings import Group


def chosen_grid(options: RunOptions, catalogue: Catalogue) -> Grid:
    """The grid that was named, or the default one, with the values that options gave in place of its own."""
    from benchmark.models import default_models, reference
    from benchmark.protocol.grids import read_grid

    quick = not options.models and not options.full and reference.is_here()
    grid = read_grid(options.grid or ("quick" if quick else "protocol"), catalogue)
    tasks = options.tasks
    if not tasks and not (options.grid and any(grid.names(name, catalogue) for name in catalogue.own)):
        tasks = tuple(catalogue.own)
    return grid.narrowed(
        models=options.models or (() if options.grid else default_models()),
        tasks=tasks,
        schedulers=options.schedulers,
        block_length=options.block_length,
        new_tokens=options.max_new_tokens,
        samples=options.samples,
        within=options.grid is not None,
        catalogue=catalogue,
    )


def left_to_others(
    groups: Sequence[Group], rows: Mapping[str, list[Row]], say: Callable[[str], None]
) -> tuple[Group, ...]:
    """The groups without the ideal model, which nobody named, on tasks that it cannot do and another model can."""
    from benchmark.ideal import is_enumerable
    from benchmark.models import IDEAL

    found: list[Group] = []
    for group in groups:
        others = tuple(name for name in group.models if name.partition(":")[0] != IDEAL)
        closed = tuple(task for task in group.tasks if all(is_enumerable(row["reference"]) for row in rows[task]))
        if not others or closed == group.tasks:
            found.append(group)
            continue
        opened = tuple(task for task in group.tasks if task not in closed)
        found += [replace(group, tasks=closed)] if closed else []
        found.append(replace(group, models=others, tasks=opened))
        say(f"the ideal model is left out on {', '.join(opened)}: right answers cannot be listed")
    return tuple(found)


def load_models(names: list[str], options: ModelOptions, own: Mapping[str, BenchmarkModel]) -> list[BenchmarkModel]:
    """The models of some names, those of `own` as they are.

    Raises:
        ValueError: a name means no model, or a revision was given and none of them comes from the Hub.
    """
    from benchmark.models import HubModel, load_model

    loaded = [own[name] if name in own else load_model(name, options) for name in names]
    on_the_hub = any(isinstance(model, HubModel) and model.on_the_hub for model in loaded)
    if options.revision is not None and not on_the_hub:
        raise ValueError(f"--revision {options.revision}: none of the models comes from the Hub, so none has revisions")
    return loaded
