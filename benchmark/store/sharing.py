"""Samples that other runs of a results folder have already, or are about to have."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmark.protocol.method import Method
from benchmark.protocol.settings import Key, origin_of, settings_groups, settings_keys
from benchmark.store.runs import RUNNING, SETTINGS, RunStore
from benchmark.store.sample_files import SampleFile


class ResultsFolder:
    """The runs that lie beside one run, which takes from them what they have in common.

    Samples are taken where model, task, method, seed and origin are the same; which of the questions are is for the
    caller to see. Of two runs that are under way, the one that began first decodes what both have asked for.
    """

    def __init__(self, run: RunStore) -> None:
        self._run = run

    @cached_property
    def _others(self) -> list[OtherRun]:
        here = self._run.directory.resolve()
        found = (path.parent for path in sorted(self._run.directory.parent.glob(f"*/{SETTINGS}")))
        return [OtherRun(path) for path in found if path.resolve() != here]

    def find_files(
        self, model: str, task: str, method: Method, seed: int
    ) -> tuple[list[tuple[Path, SampleFile]], dict[str, Any]]:
        """Files of other runs that hold such samples, with the directories of these runs.

        Returns:
            These, and where there are none the origin of the newest ones whose code alone was another, else nothing.
        """
        origin = self._run.origin(model, task, method)
        found: list[tuple[Path, SampleFile]] = []
        changed: list[tuple[float, dict[str, Any]]] = []
        for other in self._others if origin else []:
            file = other.store.find_file(model, task, method, seed, any_origin=True) if other.shares else None
            if file is None:
                continue
            if file.origin == origin:
                found.append((other.store.directory, file))
            elif file.origin and _without_code(file.origin) == _without_code(origin):
                written = other.store.samples_path(model, task, method, seed).stat().st_mtime
                changed.append((written, file.origin))
        newest = max(changed, key=lambda entry: entry[0])[1] if changed and not found else {}
        return found, newest

    def begun_before(self) -> list[OtherRun]:
        """The runs that are under way now and began before this one."""
        own, here = self._run.running_stamp(), self._run.directory.resolve()
        if own is None:
            return []
        found = []
        for path in sorted(self._run.directory.parent.glob(f"*/{RUNNING}")):
            other = OtherRun(path.parent)
            since = other.store.running_since() if path.parent.resolve() != here and other.shares else None
            if since is not None and (since, path.parent.name) < (own, here.name):
                found.append(other)
        return found


class OtherRun:
    """A run beside, as far as its settings can be read."""

    def __init__(self, directory: Path) -> None:
        self.store = RunStore(directory)

    @cached_property
    def _settings(self) -> Mapping[str, Any]:
        try:
            return self.store.read_settings()
        except ValueError:
            return {}

    @cached_property
    def shares(self) -> bool:
        """Whether its samples say what they come from."""
        return bool(self._settings) and not self.store.is_of_earlier_version

    @cached_property
    def _keys(self) -> frozenset[Key]:
        return frozenset(settings_keys(settings_groups(self._settings)))

    def asks_for(self, key: Key, seed: int, origin: Mapping[str, Any]) -> bool:
        """Whether such samples are among those that it is to have."""
        settings = self._settings
        return key in self._keys and seed in settings["seeds"] and origin_of(settings, *key) == origin


def _without_code(origin: Mapping[str, Any]) -> dict[str, Any]:
    """An origin without the hashes of sources."""
    model = {key: value for key, value in origin.get("model", {}).items() if key != "source"}
    return {**origin, "model": model, "scheduler": None}
