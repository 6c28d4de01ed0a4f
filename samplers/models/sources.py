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
#: The name of the model that ships with the project.
REFERENCE = "reference"
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

    A directory goes before `reference`, the model that ships with the project.

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
    shipped = _shipped() if name == REFERENCE else None
    if shipped is not None:
        return Source(name, shipped)
    if "/" not in name:
        raise ValueError(f"there is no model {name!r}: no directory of this name, and the Hub's are called OWNER/NAME")
    directory = _snapshot(name, revision, SMALL_FILES)
    return Source(name, directory, directory.name)


def _shipped() -> Path | None:
    """The reference model: beside this package in a checkout, with the dataset's where a wheel was installed."""
    root = Path(__file__).resolve().parents[2]
    places = (root / "hub_dataset" / "shipped" / "hub_model", root / "hub_model")
    return next((place for place in places if (place / "config.json").is_file()), None)


def _snapshot(name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """The cached files of a repository at a commit, whose name is that of the directory."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # The base class of all that the HTTP library raises, which is another library in other versions, and OSError.
    transport_errors: Any = HfHubHTTPError.__bases__
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except (HFValidationError, *transport_errors) as error:
        # An answer of the Hub's that the cache cannot make up for comes as the cause of a missing entry.
        answered = error if not isinstance(error.__cause__, HfHubHTTPError) else error.__cause__
        message = _refusal(answered, name, revision)
    raise ValueError(message)


def _refusal(error: BaseException, name: str, revision: str | None) -> str:
    """An error of the Hub's client in one line; never in its own words, which may quote a token."""
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub import errors as hub

    where = f"{name!r} on {constants.ENDPOINT}"
    match error:
        case hub.GatedRepoError():
            return f"{where} is gated: accept its terms there, and log in with `hf auth login`"
        case hub.RevisionNotFoundError():
            return f"{where} has no revision {revision!r}"
        case hub.RepositoryNotFoundError() | hub.HFValidationError():
            return (
                f"there is no model {name!r}: no directory of this name, and no repository on {constants.ENDPOINT} "
                "open to this user"
            )
        case hub.HfHubHTTPError():
            status = error.response.status_code
            if status == 401:
                return f"{constants.ENDPOINT} does not accept the token (401): log in again with `hf auth login`"
            reason = " ".join((error.server_message or error.response.reason_phrase or "no reason given").split())
            return f"{where} cannot be read ({status}): {reason}"
        case hub.LocalEntryNotFoundError() | ConnectionError() | TimeoutError():
            begun = isinstance(try_to_load_from_cache(name, "config.json", revision=revision), str)
            cached = "only in part in" if begun else "neither a directory nor in"
            return f"{name!r} is {cached} the Hub's cache, and {constants.ENDPOINT} cannot be reached"
        case OSError(strerror=str(reason)):
            return f"{name!r} cannot be written into the Hub's cache, {constants.HF_HUB_CACHE}: {reason}"
        case _:
            kind = type(error).__name__
            return f"{where} could not be downloaded ({kind}); call again to go on where the download stopped"
