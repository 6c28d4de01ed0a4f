"""Reading YAML files that people write: no key twice, and one clear line for what is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

OURS = Path(__file__).resolve().parent


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises as `read_yaml` does, and ValueError for anything but a mapping."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path.name}: {shorten(content)} is not a mapping of keys")
    return content


def read_yaml(path: Path) -> Any:
    """What a YAML file holds.

    Raises ValueError, naming the file, where it is not UTF-8, not YAML, or gives a key twice (YAML's own reader would
    let the last one win); OSError where the file cannot be read.
    """
    import yaml

    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_loader(fast=path.resolve().is_relative_to(OURS)))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name}: is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except _KeyTwiceError as error:
        raise ValueError(f"{path.name}: {error}") from None
    except (yaml.YAMLError, ValueError) as error:  # a date that does not exist is a ValueError
        raise ValueError(f"{path.name}: is not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ValueError(f"{path.name}: is not YAML that can be read: it is nested too deeply") from None


def refuse_unknown(path: Path, prefix: str, mapping: Mapping[str, Any], known: Collection[str]) -> None:
    """Raises ValueError, naming file, key and value, for a key of `mapping` that is not in `known`."""
    for key, value in mapping.items():
        if key not in known:
            near = nearest(str(key), known)
            hint = f"; did you mean {near!r}?" if near else f"; known are {', '.join(sorted(known))}"
            raise ValueError(f"{path.name}: {prefix}{key}: unknown key (value {shorten(value)}){hint}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be, if any is near."""
    import difflib

    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def shorten(value: Any) -> str:
    """A value as an error message shows it: on one line, and not too long."""
    try:
        text = " ".join(repr(value).split())
    except RecursionError:
        text = f"a deeply nested {type(value).__name__}"
    return text if len(text) <= 40 else text[:37] + "..."


class _KeyTwiceError(ValueError):
    """A key stands twice in one mapping."""


@cache
def _loader(fast: bool) -> Any:
    import yaml

    # The parser in C is ten times as fast, but deep nesting overflows its stack and takes the whole process down.
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader) if fast else yaml.SafeLoader

    class Loader(base):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            _refuse_key_twice(self, node)
            return super().construct_mapping(node, deep=deep)

    return Loader


def _refuse_key_twice(loader: Any, node: Any) -> None:
    seen: set[Any] = set()
    for key_node, value_node in node.value if isinstance(node.value, list) else ():
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        try:
            twice = key in seen
        except TypeError:  # a list as a key: the reader itself says so
            continue
        if twice:
            value = shorten(loader.construct_object(value_node, deep=True))
            raise _KeyTwiceError(
                f"{key}: is given twice; the second, in line {key_node.start_mark.line + 1}, is {value}"
            )
        seen.add(key)
