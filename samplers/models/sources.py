"""Where a model's files are: in a directory, or on the Hub and from there in its cache."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What is read besides the weights; no Python file is ever fetched.
SMALL_FILES = (
    "*.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "chat_template*",
    "additional_chat_templates/*",
)


_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class Source:
    """A model's files.

    Attributes:
        name: as the user gave it.
        directory: where its files are; those of the Hub's cache belong to one commit.
        revision: that commit; None for a directory of the user's own.
    """

    name: str
    directory: Path
    revision: str | None = None

    def read_json(self, filename: str) -> dict[str, Any] | None:
        """The content of a JSON file, None where the model has none of this name.

        Raises:
            ValueError: the file is not JSON.
        """
        path = self.directory / filename
        if not path.is_file():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not JSON ({error})") from None
        if not isinstance(content, dict):
            raise ValueError(f"{path} holds a {type(content).__name__}; it should hold an object")
        return content

    @property
    def weight_names(self) -> list[str]:
        """Names of the weight files, from their index where there is one.

        Raises:
            ValueError: the index names no files.
        """
        index = self.read_json(_INDEX)
        if index is None:
            return ["model.safetensors"]
        places = index.get("weight_map")
        if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
            raise ValueError(f"{self.directory / _INDEX} has no weight_map from tensors to files; download it again")
        return sorted(set(places.values()))

    @property
    def is_complete(self) -> bool:
        """Whether all weight files should be here: of a directory always, of the Hub once they have been fetched."""
        return self.revision is None or all((self.directory / name).is_file() for name in self.weight_names)

    def weights(self) -> list[Path]:
        """Paths of weight files, fetched if need be; an interrupted download goes on where it stopped.

        Raises:
            ValueError: a file does not exist, or the Hub cannot be reached.
        """
        names = self.weight_names
        if self.revision is not None:
            _snapshot(self.name, self.revision, names)
        absent = [name for name in names if not (self.directory / name).is_file()]
        if absent:
            where = "" if self.revision is None else ", neither in its repository nor, without a network, in the cache"
            raise ValueError(f"{self.name!r} has no {', '.join(absent)}{where}; only weights in safetensors are read")
        return [self.directory / name for name in names]


def find(name_or_path: str | Path, revision: str | None = None) -> Source:
    """The files of a model; those of a repository are pinned to the commit that `revision` stands for now.

    Raises:
        ValueError: there is no such directory or repository, or the Hub cannot be reached.
    """
    name = str(name_or_path)
    if not name:
        raise ValueError("the name of the model is empty; name a directory, or a repository on the Hub")
    path = Path(name).expanduser()
    if path.is_dir():
        return Source(name, path)
    if path.exists():
        raise ValueError(f"{name!r} is a file; a model is a directory or the name of a repository on the Hub")
    if name.startswith((".", "~", "/")) or name.count("/") > 1:
        raise ValueError(f"there is no directory {name!r}")
    if "/" not in name:
        raise ValueError(f"there is no model {name!r}: no directory of this name, and the Hub's are called OWNER/NAME")
    directory = _snapshot(name, revision, SMALL_FILES)
    return Source(name, directory, directory.name)


def _snapshot(name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """The cached files of a repository at a commit, whose name is that of the directory."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub import errors as hub

    where = f"on {constants.ENDPOINT}"
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except hub.GatedRepoError:
        message = f"{name!r} {where} is gated: accept its terms there, and log in with `hf auth login`"
    except hub.RevisionNotFoundError:
        message = f"{name!r} {where} has no revision {revision!r}"
    except (hub.RepositoryNotFoundError, hub.HFValidationError):
        message = f"there is no model {name!r}: no directory of this name, and no repository {where} open to this user"
    except (hub.LocalEntryNotFoundError, hub.OfflineModeIsEnabled, ConnectionError):
        message = f"{name!r} is neither a directory nor in the Hub's cache, and {constants.ENDPOINT} cannot be reached"
    raise ValueError(message)
