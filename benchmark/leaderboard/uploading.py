"""Brings the files of a run into a dataset of the Hub: one commit, and none where they are there already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub_dataset.publishing import check_name, has_content, hub_client


def upload_run(files: Mapping[str, bytes], repo_id: str) -> str:
    """Commit what a dataset lacks of these files; returns what was done, in a few words.

    Other files stay. A README that is there is left as it is.

    Raises:
        ValueError: the name is none of a repository, or the Hub refuses.
    """
    from huggingface_hub import CommitOperationAdd
    from huggingface_hub.hf_api import RepoFile

    check_name(repo_id)
    target: dict[str, Any] = {"repo_id": repo_id, "repo_type": "dataset"}
    with hub_client(f"the dataset {repo_id}") as api:
        if not api.repo_exists(**target):
            api.create_repo(**target, exist_ok=True)
        head = api.repo_info(**target, revision="main").sha
        listed = api.list_repo_tree(**target, revision=head, recursive=True)
        there = {entry.path: entry for entry in listed if isinstance(entry, RepoFile)}
        new = {
            path: content
            for path, content in files.items()
            if path not in there or (path != "README.md" and not has_content(there[path], content))
        }
        if not new:
            return "is there already, with the same content"
        entry = next(path for path in files if path.startswith("entries/"))
        operations: list[Any] = [CommitOperationAdd(path, content) for path, content in new.items()]
        # The parent makes a commit fail that somebody else's has overtaken.
        api.create_commit(**target, operations=operations, commit_message=f"Add {entry}", parent_commit=head)
        return f"{len(new)} files in one commit"
