"""Where a model's files are: in a directory, or on the Hub and from there in its cache."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Source:
    """A model's files.

    Attributes:
        name: as the user gave it.
        directory: the directory that holds them, None for a repository on the Hub.
        revision: branch, tag or commit on the Hub; None for the default one.
    """

    name: str
    directory: Path | None
    revision: str | None = None

    def file(self, filename: str) -> Path | None:
        """The path of a file, fetched if it is on the Hub; None where the model has none of this name.

        Raises:
            ValueError: the repository does not exist, is not open to this user, or cannot be reached.
        """
        if self.directory is not None:
            path = self.directory / filename
            return path if path.is_file() else None
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        try:
            return Path(hf_hub_download(self.name, filename, revision=self.revision))
        except LocalEntryNotFoundError as error:
            raise self._error(error) from None
        except EntryNotFoundError:
            return None
        except Exception as error:
            raise self._error(error) from None

    def read_json(self, filename: str) -> dict[str, Any] | None:
        """The content of a JSON file, None where the model has none of this name.

        Raises:
            ValueError: as for `file`, or the file is not JSON.
        """
        path = self.file(filename)
        if path is None:
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not JSON ({error})") from None
        if not isinstance(content, dict):
            raise ValueError(f"{path} holds a {type(content).__name__}; it should hold an object")
        return content

    def files(self, patterns: Sequence[str]) -> Path:
        """A directory that holds all files which match `patterns`; an interrupted download goes on where it stopped.

        Raises:
            ValueError: as for `file`.
        """
        if self.directory is not None:
            return self.directory
        from huggingface_hub import snapshot_download

        try:
            return Path(snapshot_download(self.name, revision=self.revision, allow_patterns=list(patterns)))
        except Exception as error:
            raise self._error(error) from None

    def _error(self, error: Exception) -> Exception:
        """One line for what can go wrong on the way to the Hub; anything else as it is."""
        from huggingface_hub import constants
        from huggingface_hub import errors as hub

        where = f"on {constants.ENDPOINT}"
        if isinstance(error, hub.GatedRepoError):
            return ValueError(
                f"{self.name!r} {where} is gated: accept its terms there, and log in with `hf auth login`"
            )
        if isinstance(error, hub.RevisionNotFoundError):
            return ValueError(f"{self.name!r} {where} has no revision {self.revision!r}")
        if isinstance(error, hub.RepositoryNotFoundError | hub.HFValidationError):
            return ValueError(
                f"there is no model {self.name!r}: no directory of this name, and no repository {where} "
                "that this user may read"
            )
        if isinstance(error, hub.LocalEntryNotFoundError | hub.OfflineModeIsEnabled | ConnectionError):
            return ValueError(
                f"{self.name!r} is no directory and not (all) in the Hub's cache, and {constants.ENDPOINT} "
                "cannot be reached"
            )
        return error


def find(name_or_path: str | Path, revision: str | None = None) -> Source:
    """The files of a model; those of a repository are pinned to the commit that `revision` stands for now.

    Raises:
        ValueError: there is no such directory or repository, or the Hub cannot be reached.
    """
    name = str(name_or_path)
    path = Path(name).expanduser()
    if path.is_dir():
        return Source(name, path)
    if path.exists():
        raise ValueError(f"{name!r} is a file; a model is a directory or the name of a repository on the Hub")
    if name.startswith((".", "~", "/")) or name.count("/") > 1:
        raise ValueError(f"there is no directory {name!r}")
    source = Source(name, None, revision)
    config = source.file("config.json")
    if config is None:
        raise ValueError(f"the repository {name!r} has no config.json, so it holds no model")
    # snapshots/<commit>/config.json
    return Source(name, None, config.parent.name)
