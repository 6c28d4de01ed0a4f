"""Where the texts of a task come from: a YAML file of this project or the user's, or a public dataset on the Hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .yaml_files import refuse_unknown, shorten

SOURCES = Path(__file__).resolve().parent / "sources"

_HUB_KEYS = ("repository", "split", "revision")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
# A branch moves, so that the same version of the data would come to mean other rows.
_REVISION = re.compile(r"[0-9a-f]{40}|v?[0-9]+(\.[0-9]+)*")


@dataclass(frozen=True, slots=True)
class TextFile:
    """A YAML file with texts, see `text_files`."""

    path: Path

    def __str__(self) -> str:
        return self.path.name


@dataclass(frozen=True, slots=True)
class HubDataset:
    """One split of a dataset on the Hub at a fixed revision, see `hub_texts`."""

    repository: str
    split: str
    revision: str

    def __str__(self) -> str:
        return f"{self.repository} ({self.split})"


TextSource = TextFile | HubDataset


def read_source(path: Path, where: str, value: Any) -> TextSource:
    """What the key `source` says: the name of a file, or a mapping with `repository`, `split` and `revision`.

    `path` is the YAML file and `where` the key, for messages. A file is looked for beside the YAML file, then among the
    project's own sources. Raises ValueError, naming file, key and value, for a file that is not there, an unknown or
    missing key, and a revision that is neither a whole commit hash nor a version tag.
    """
    if isinstance(value, str):
        for folder in (path.parent, SOURCES):
            if (folder / value).is_file():
                return TextFile((folder / value).resolve())
        raise ValueError(f"{path.name}: {where}: {value!r} is not a file beside it, nor one of the project's sources")
    if not isinstance(value, dict):
        raise ValueError(f"{path.name}: {where}: {shorten(value)} is neither a file nor a dataset on the Hub")
    refuse_unknown(path, f"{where}.", value, _HUB_KEYS)
    for key in _HUB_KEYS:
        if key not in value:
            raise ValueError(f"{path.name}: {where}.{key}: is missing")
        if not isinstance(value[key], str) or not value[key]:
            raise ValueError(f"{path.name}: {where}.{key}: {shorten(value[key])} is empty or not a string")
    if not _REPOSITORY.fullmatch(value["repository"]):
        raise ValueError(f"{path.name}: {where}.repository: {value['repository']!r} is not of the form owner/name")
    if not _REVISION.fullmatch(value["revision"]):
        raise ValueError(
            f"{path.name}: {where}.revision: {value['revision']!r} does not pin the dataset; "
            "give a commit hash of 40 digits or a version tag"
        )
    return HubDataset(**value)
