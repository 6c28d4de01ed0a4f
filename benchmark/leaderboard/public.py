"""A run as others may see it: models under their public names, no word on where it was made but the hardware."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

from benchmark.protocol.method import Method
from benchmark.protocol.operating_points import IN_PROCESS, SERVICE
from benchmark.protocol.settings import LOCAL_REVISION, model_names
from benchmark.store.runs import RunStore
from benchmark.store.sample_files import SampleFile

#: What stands before the name or the place of a model, and stays.
PREFIX = re.compile(rf"^(?:ideal(?:-greedy)?:|{IN_PROCESS}|{SERVICE})+(?=.)")
_QUOTED = re.compile(r"""(["'])(.*?)\1""")


class PublicRun(RunStore):
    """Reads a run so that all that is computed from it, and written of it, is public.

    Args:
        directory: of the run.

    Attributes:
        names: model → its public name.
        addresses: of servers, which are not public.

    Raises:
        ValueError: the directory holds no run, or two models would have one name.
    """

    def __init__(self, directory: str | Path) -> None:
        super().__init__(directory)
        self._run = RunStore(directory)
        settings = self._run.read_settings()
        self.names = public_names(settings)
        devices = [device for of_model in settings.get("devices", {}).values() for device in of_model]
        self.addresses = [device for device in devices if "://" in device]
        self._models = {public: model for model, public in self.names.items()}
        self._public = _with_public_names(settings, self.names)

    def read_settings(self) -> dict[str, Any]:
        """The settings, in which models have their public names."""
        return self._public

    def seeds_of(self, model: str, task: str, method: Method) -> tuple[int, ...]:
        """The seeds that a setting is to have samples of."""
        return self._run.seeds_of(self._models[model], task, method)

    def find_file(
        self, model: str, task: str, method: Method, seed: int = 0, *, any_origin: bool = False
    ) -> SampleFile | None:
        """The file of one method, without what tells of servers and directories."""
        found = self._run.find_file(self._models[model], task, method, seed, any_origin=any_origin)
        if found is None:
            return None
        # Why a question failed may quote a server's address.
        rows = [{**row, "error": "failed"} if "error" in row else row for row in found.rows]
        # The signature of BERTScore has its encoder, which may lie in a directory.
        signatures = {
            name: re.sub(r"\S*[/\\]\S*", lambda word: _without_folders(word[0]), text)
            for name, text in found.signatures.items()
        }
        return replace(found, rows=rows, signatures=signatures)


def public_names(settings: Mapping[str, Any]) -> dict[str, str]:
    """Model → its name in public: of a directory the last part, of a service the name without its address.

    Args:
        settings: of the run. What has a commit's revision there comes from the Hub, and is `owner/name`; other names
            with a slash are directories.

    Raises:
        ValueError: two models would have one name.
    """
    records = {entry["name"]: entry for entry in settings["models"] if not isinstance(entry, str)}
    names = {model: _public(model, records.get(model, {})) for model in model_names(settings)}
    for model, public in names.items():
        other = next((one for one in names if one != model and names[one] == public), None)
        if other is not None:
            raise ValueError(f"{model} and {other} would both be published as {public}; publish them from two runs")
    return names


def _public(model: str, record: Mapping[str, Any]) -> str:
    name = PREFIX.sub("", model)
    prefix = model.removesuffix(name)
    if prefix.endswith(SERVICE):
        return prefix + _without_folders(re.sub(r"@[A-Za-z]+://.*", "", name))
    # `package.module:factory(path="…")`, but no drive of Windows.
    if re.match(r"[\w.]{2,}:\w", name):
        return prefix + _QUOTED.sub(lambda text: text[1] + _last_part(text[2]) + text[1], name)
    revision = record.get("revision")
    if revision is not None and not str(revision).startswith(LOCAL_REVISION):
        return prefix + _without_folders(name)
    return prefix + _last_part(name)


def _without_folders(name: str) -> str:
    """The last part of what cannot be `owner/name`."""
    is_path = name.startswith(("/", "./", "../", "~")) or "\\" in name or name.count("/") > 1
    return _last_part(name) if is_path else name


def _last_part(path: str) -> str:
    windows = re.match(r"[A-Za-z]:[\\/]", path) or "\\" in path
    name = (PureWindowsPath(path) if windows else PurePath(path)).name
    return "model" if name in ("", "..") else name


def _with_public_names(settings: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    def told(content: Any) -> Any:
        if isinstance(content, dict):
            return {names.get(key, key): told(value) for key, value in content.items()}
        if isinstance(content, list):
            return [told(value) for value in content]
        return names.get(content, content) if isinstance(content, str) else content

    def in_line(line: str) -> str:
        # The longest first: one name may be a part of another.
        for model in sorted(names, key=len, reverse=True):
            line = names[model].join(re.split(rf"(?<![\w./]){re.escape(model)}(?![\w/])", line))
        return line

    lines = [in_line(line) for line in settings.get("notices", ())]
    # What a service runs on is known by its address alone.
    devices = {
        model: list(dict.fromkeys("a server" if "://" in device else device for device in of_model))
        for model, of_model in settings.get("devices", {}).items()
    }
    public: dict[str, Any] = told({**settings, "notices": lines, "devices": devices})
    return public
