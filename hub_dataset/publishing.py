"""Publishes dataset, metric and model on the Hugging Face Hub: one commit each, then a tag that never moves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha1, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .card import withheld
from .configs import TaskConfig, task_info
from .installing import NAME, metric_modules
from .parts import METRIC, MODEL
from .version import DATA_VERSION, MODEL_VERSION
from .writing import build_dataset

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

# The files without which a model cannot be used.
MODEL_FILES = ("README.md", "config.json", "model.safetensors", "tokenizer.json")
# Stands for the owner where none is known, as in a dry run.
UNKNOWN_OWNER = "<you>"
_REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")


class PublishError(ValueError):
    """Why nothing, or no more than a commit without its tag, was published; one line that names no token."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What one repository (a `dataset`, `space` or `model`) will hold at `tag`: path in the repository → local file."""

    repo_type: str
    repo_id: str
    files: dict[str, Path]
    tag: str = f"v{DATA_VERSION}"

    def lines(self) -> Iterator[str]:
        """One line per file: SHA-256, size in bytes, path."""
        for path, file in self.files.items():
            content = file.read_bytes()
            yield f"{sha256(content).hexdigest()}  {len(content):>9}  {path}"


def dataset_upload(
    folder: Path,
    configs: Sequence[str | TaskConfig],
    repo_id: str,
    on_skip: Callable[[str], None] | None = None,
) -> Upload:
    """Builds the dataset below `folder` and lists its upload; publishes nothing.

    A config that cannot be built here, or whose rows may not be passed on, is left out; `on_skip(message)` is called
    for it. Raises ValueError for an unknown config or a repository without an owner.
    """
    check_name(repo_id)
    dataset = folder / NAME
    tasks = [task_info(config) for config in configs]
    for task in tasks:
        if on_skip is not None and (reason := withheld(task)):
            on_skip(f"{task.name} is left out: {reason}")
    build_dataset(dataset, [task for task in tasks if not withheld(task)], file_format="parquet", on_skip=on_skip)
    return Upload("dataset", repo_id, _files(dataset))


def metric_upload(repo_id: str, metric: Path = METRIC) -> Upload:
    """The upload of a metric's folder. Raises ValueError where it holds none, or for a Space without an owner."""
    check_name(repo_id)
    metric_modules(metric)
    return Upload("space", repo_id, _files(metric))


def model_upload(repo_id: str, model: Path = MODEL) -> Upload:
    """The upload of a model's folder, whose tag is the model's own version.

    Raises FileNotFoundError where it holds no whole model, ValueError for a repository without an owner.
    """
    check_name(repo_id)
    for name in MODEL_FILES:
        if not (model / name).is_file():
            raise FileNotFoundError(f"{model} holds no whole model: {name} is missing")
    return Upload("model", repo_id, _files(model), f"v{MODEL_VERSION}")


def find_owner() -> str:
    """The user of the token at hand. Raises PublishError where there is none, or the Hub cannot be asked."""
    with hub_client("your account") as api:
        return str(api.whoami()["name"])


def publish(upload: Upload) -> str:
    """Commits an upload and tags the commit; returns what was done, in a few words.

    Files that the upload lacks are removed. A tag that exists is left alone where it has the same content, and is
    otherwise an error. An upload that was interrupted before its tag is taken up by the next one.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    where = f"the {upload.repo_type} {upload.repo_id}"
    with hub_client(where) as api:
        target: dict[str, Any] = {"repo_id": upload.repo_id, "repo_type": upload.repo_type}
        if not api.repo_exists(**target):
            api.create_repo(**target, space_sdk="gradio" if upload.repo_type == "space" else None, exist_ok=True)
        if upload.tag in {tag.name for tag in api.list_repo_refs(**target).tags}:
            if _same_content(upload, api):
                return f"{upload.tag} is there already, with the same content"
            raise PublishError(
                f"{where} has a tag {upload.tag} with other content, and tags do not move; "
                f"give the {'model' if upload.repo_type == 'model' else 'data'} a new version in hub_dataset/version.py"
            )
        head = api.repo_info(**target, revision="main").sha
        present = set(api.list_repo_files(**target, revision=head)) - {".gitattributes"}
        operations: list[Any] = [
            *(CommitOperationAdd(path, str(file)) for path, file in upload.files.items()),
            *(CommitOperationDelete(path, is_folder=False) for path in sorted(present - upload.files.keys())),
        ]
        # The parent makes a commit fail that somebody else's has overtaken; else one would undo the other.
        commit = api.create_commit(**target, operations=operations, commit_message=upload.tag, parent_commit=head)
        api.create_tag(**target, tag=upload.tag, revision=commit.oid)
        return f"{len(upload.files)} files, tag {upload.tag}"


def check_name(repo_id: str) -> None:
    """Raises ValueError unless `repo_id` has the form owner/name."""
    if not _REPO_ID.fullmatch(repo_id.replace(UNKNOWN_OWNER, "owner")):
        raise ValueError(f"{repo_id!r} is not the name of a repository; it has the form owner/{NAME}")


def _files(folder: Path) -> dict[str, Path]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    hidden = ("__pycache__", ".")
    return {path: found[path] for path in sorted(found) if not any(part.startswith(hidden) for part in path.split("/"))}


def _same_content(upload: Upload, api: HfApi) -> bool:
    """Whether the repository holds this upload at its tag.

    Parquet files are compared by their paths only: the card holds the digest of every config's rows, and the same rows
    are other bytes when another version of Parquet's library writes them.
    """
    from huggingface_hub.hf_api import RepoFile

    listed = api.list_repo_tree(upload.repo_id, repo_type=upload.repo_type, revision=upload.tag, recursive=True)
    there = {entry.path: entry for entry in listed if isinstance(entry, RepoFile)}
    there.pop(".gitattributes", None)
    return there.keys() == upload.files.keys() and all(
        path.endswith(".parquet") or has_content(there[path], file.read_bytes()) for path, file in upload.files.items()
    )


def has_content(entry: RepoFile, content: bytes) -> bool:
    """Whether a file on the Hub has this content, by the hash that the Hub lists."""
    if entry.lfs is not None:  # whose blob is a pointer
        return bool(entry.lfs.sha256 == sha256(content).hexdigest())
    return bool(entry.blob_id == sha1(b"blob %d\0" % len(content) + content).hexdigest())


@contextmanager
def hub_client(where: str) -> Iterator[HfApi]:
    """The Hub's client with the token at hand; its errors become one line each."""
    from huggingface_hub import HfApi, constants, get_token, utils
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    token = get_token()
    if token is None:
        raise PublishError(
            "no Hugging Face token: log in with `hf auth login`, or set HF_TOKEN to a token that may write"
        )
    # The base class of all that the HTTP library raises, which is another library in other versions, and OSError.
    transport_errors: Any = HfHubHTTPError.__bases__
    # One bar per file would bury what was done.
    bars: Any = utils
    hidden = bars.are_progress_bars_disabled()
    bars.disable_progress_bars()
    try:
        yield HfApi(token=token)
    except PublishError:
        raise
    except OfflineModeIsEnabled:
        raise PublishError("HF_HUB_OFFLINE is set, and publishing needs the Hub; unset it") from None
    except HfHubHTTPError as error:
        raise PublishError(_refusal(error, where)) from None
    except transport_errors:
        # Not the error's own words: they may quote the request, token included.
        raise PublishError(f"cannot reach the Hub at {constants.ENDPOINT}: no connection") from None
    finally:
        if not hidden:
            bars.enable_progress_bars()


def _refusal(error: Any, where: str) -> str:
    status = error.response.status_code
    if status == 401:
        return "the Hub does not accept the token (401); log in again with `hf auth login`, or set another HF_TOKEN"
    if status == 403:
        return f"the token may not write to {where} (403); it needs write access, and its user must be the owner"
    if status == 412:
        return f"somebody else has changed {where} meanwhile (412); run the command again"
    reason = " ".join((error.server_message or "no reason given").split())
    return f"the Hub refuses {where} ({status}): {reason}"
