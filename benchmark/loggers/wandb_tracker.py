"""A run in Weights & Biases, online or, with `WANDB_MODE=offline`, in files that `wandb sync` sends later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas


class WandbTracker:
    """See `benchmark.loggers.trackers.Tracker`; the variables of wandb (`WANDB_PROJECT`, …) count."""

    def __init__(self, project: str, name: str, settings: Mapping[str, Any]) -> None:
        import os

        import wandb

        # It is not to catch what a terminal is shown, nor to write beside the bar.
        quiet = wandb.Settings(console="off", silent=True)
        project = os.environ.get("WANDB_PROJECT") or project
        self._run = wandb.init(project=project, name=name, config=dict(settings), settings=quiet)
        self._curves: set[str] = set()
        # Asked for the address of an offline run, it warns.
        self.place = str(self._run.dir if self._run.offline else self._run.url)

    def point(self, curve: str, values: Mapping[str, float]) -> None:
        """Each number of a curve is drawn over its tokens per step."""
        if curve not in self._curves and "tokens_per_step" in values:
            self._run.define_metric(f"{curve}/*", step_metric=f"{curve}/tokens_per_step")
            self._curves.add(curve)
        self._run.log({f"{curve}/{name}": value for name, value in values.items()})

    def table(self, name: str, table: pandas.DataFrame) -> None:
        """A table of wandb."""
        import wandb

        whole = table.astype(object).where(table.notna(), None)
        # Its columns have one type each, and a score may be 1 in one row and 0.5 in the next.
        data = [[float(value) if isinstance(value, int) else value for value in row] for row in whole.values.tolist()]
        self._run.log({name: wandb.Table(columns=list(whole.columns), data=data, allow_mixed_types=True)})

    def finish(self) -> None:
        """Send or write what is left."""
        self._run.finish()
