"""Runs of formats 1 and 2: how their settings are read, where their samples are, and what vouches for these."""

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmark.protocol.method import Method
from benchmark.protocol.settings import FORMAT, describe_scheduler, group_methods, model_names
from benchmark.store.sample_files import SampleFile, parse_samples

_LONGEST_NAME = 180


def earlier_path(folder: Path, model: str, task: str, method: Method) -> Path:
    """Where the samples of a method were in format 1, below the folder of samples; the name lacked the block length."""
    label = str(Method(method.name, method.arguments))
    return folder / _file_name(model) / _file_name(task) / f"{_file_name(label)}.jsonl"


def read_earlier_file(path: Path) -> SampleFile | None:
    """The samples of a file whose last line vouches for all that stands before; None where it does not."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    start = content.rfind(b"\n", 0, -1) + 1
    body, last = content[:start], content[start:]
    try:
        footer = json.loads(last) if last.endswith(b"\n") else None
    except ValueError:
        return None
    whole = isinstance(footer, dict) and footer.get("complete") is True and footer.get("rows") == body.count(b"\n")
    return parse_samples(body, footer) if whole else None


def convert_settings(settings: Any, path: Path) -> Any:
    """Settings of formats 1 and 2 in the form of today's; others as they are.

    Raises:
        ValueError: they cannot be read.
    """
    if not isinstance(settings, dict) or settings.get("format") not in (1, 2):
        return settings
    if settings["format"] == 1:
        settings = _from_format_1(settings, path)
    kept = {key: value for key, value in settings.items() if key not in ("format", "seed")}
    return {"format": FORMAT, **kept, "seeds": [settings.get("seed", 0)]}


def _from_format_1(settings: dict[str, Any], path: Path) -> dict[str, Any]:
    try:
        schedulers: dict[str, dict[str, Any]] = {}
        methods: dict[str, list[Method]] = {task: [] for task in settings["tasks"]}
        for entry in settings["schedulers"]:
            name, parameters, length = entry["name"], entry.get("parameters", {}), entry.get("block_length")
            if name not in schedulers:
                schedulers[name] = describe_scheduler(name)
            follows = schedulers[name]["blocks_follow_k"] and length == parameters.get("k")
            method = Method.of(name, parameters, None if follows else length)
            for task in settings["tasks"] if entry.get("tasks") is None else entry["tasks"]:
                methods[task].append(method)
        groups = group_methods(model_names(settings), methods, settings.get("max_new_tokens"))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is of format 1 and cannot be read ({type(error).__name__}: {error})") from None
    kept = {key: value for key, value in settings.items() if key not in ("tasks", "max_new_tokens")}
    return {**kept, "groups": [group.as_dict() for group in groups], "schedulers": schedulers}


def _file_name(label: str) -> str:
    """The name of a file or folder: percent-encoded, with a hash where it would be too long."""
    name = quote(label, safe="=,+()", errors="surrogatepass")
    name = "%2E" + name[1:] if name.startswith(".") else name
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return name
