"""A run in trackio, which keeps it in a file on this machine unless its own variables name a server or a Space."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas


class TrackioTracker:
    """See `benchmark.loggers.trackers.Tracker`."""

    def __init__(self, project: str, name: str, settings: Mapping[str, Any]) -> None:
        import contextlib
        import io
        import os

        import trackio

        project = os.environ.get("TRACKIO_PROJECT") or project
        # It tells how to open its dashboard, in several lines, amid the run's own.
        with contextlib.redirect_stdout(io.StringIO()):
            # Settings as text: it keeps no objects within objects. A run that goes on is a new run of the same name.
            plain = {
                key: value if isinstance(value, str | int) else json.dumps(value) for key, value in settings.items()
            }
            self._run = trackio.init(project=project, name=name, config=plain, embed=False, resume="never")
        self._points = 0
        self.place = f"trackio show --project {project}"

    def point(self, curve: str, values: Mapping[str, float]) -> None:
        """Numbers of a curve; tokens per step is one of them, and can be chosen as x."""
        self._run.log({f"{curve}/{name}": value for name, value in values.items()}, step=self._points)
        self._points += 1

    def table(self, name: str, table: pandas.DataFrame) -> None:
        """A table of trackio."""
        import trackio

        plain = table.astype(object).where(table.notna(), None)
        self._run.log({name: trackio.Table(dataframe=plain)}, step=self._points)

    def finish(self) -> None:
        """Write what is left."""
        import contextlib
        import io

        import trackio

        with contextlib.redirect_stdout(io.StringIO()):
            # Of the module, not of the run: that one would be finished once more, aloud, at the end of the process.
            trackio.finish()  # type: ignore[no-untyped-call]
