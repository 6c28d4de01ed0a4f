"""Reading the reference column: the JSON that tells how one row is scored, checked key by key."""

import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .reading import replace_lone_surrogates
from .scorer import Scorer


@dataclass(frozen=True, slots=True)
class Reference:
    """How one row is scored.

    Args:
        scorer: name of the scorer.
        task: the dataset config that the row belongs to, or None where the reference names none.
        values: the reference keys that the scorer reads, checked, defaults filled in.
    """

    scorer: str
    task: str | None
    values: dict[str, Any]


def parse_reference(text: str, index: int, scorers: Mapping[str, Scorer]) -> Reference:
    """Parse one reference.

    Keys that the scorer does not read are ignored.

    Args:
        text: a JSON object with `scorer`, the keys of that scorer and, if wanted, `task`.
        index: where the reference stands in its column, for error messages.
        scorers: the known scorers by name.

    Raises:
        ValueError: not JSON, not an object, an unknown scorer, a missing key or a value of the wrong kind.
    """
    content = decode(text, index)
    name = content.get("scorer")
    if not isinstance(name, str) or name not in scorers:
        raise ValueError(
            f'references[{index}]: "scorer" must be one of {", ".join(scorers)}, {found(content, "scorer")}'
        )
    task = content.get("task")
    if task is not None and not isinstance(task, str):
        raise ValueError(f'references[{index}]: "task" must be a string, {found(content, "task")}')
    scorer = scorers[name]
    values = {}
    for key, kind in scorer.keys.items():
        value = clean(content.get(key, scorer.defaults.get(key)))
        if not kind.accepts(value):
            raise ValueError(
                f'references[{index}]: "{key}" of scorer {name} must be {kind.description}, {found(content, key)}'
            )
        values[key] = value
    return Reference(name, clean(task), values)


def decode(text: str, index: int) -> dict[str, Any]:
    """Decode the JSON object of one reference; `ValueError` where it is not one."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", "nested too deeply" if isinstance(error, RecursionError) else str(error))
        raise ValueError(f"references[{index}] must be a JSON object, got {reprlib.repr(text)} ({reason})") from None
    if not isinstance(content, dict):
        raise ValueError(f"references[{index}] must be a JSON object, got {reprlib.repr(text)}")
    return content


def clean(value: Any) -> Any:
    """Replace the lone surrogates of a string, or of each string in a list; JSON's escapes can spell them."""
    if isinstance(value, str):
        return replace_lone_surrogates(value)
    if isinstance(value, list):
        return [replace_lone_surrogates(item) if isinstance(item, str) else item for item in value]
    return value


def found(content: dict[str, Any], key: str) -> str:
    """Say what stands under `key`, in the last words of an error message."""
    return f"got {reprlib.repr(content[key])}" if key in content else "but it is missing"
