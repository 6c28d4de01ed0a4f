"""Names of schedulers: built in, registered by a user, or brought along by an installed package."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from .._lazy import stub_exports

if TYPE_CHECKING:
    from .scheduling_utils import UnmaskingScheduler

Registered = TypeVar("Registered", bound="type[UnmaskingScheduler]")

#: Entry points of this group add schedulers: their name becomes the short name, their object is the class.
ENTRY_POINT_GROUP = "parallelbench.schedulers"

_PREFIX = ".scheduling_"
#: Modules whose classes are only derived from; they are not methods.
_BASES = (".scheduling_utils", ".scheduling_quota")
#: Short name → class name of the schedulers here; the class lives in `scheduling_<short name>`.
BUILT_IN = {
    module.removeprefix(_PREFIX): name
    for name, module in stub_exports("samplers.schedulers").items()
    if module.startswith(_PREFIX) and module not in _BASES
}
_PROTOCOL_METHODS = 9
_registered: dict[str, type[UnmaskingScheduler]] = {}


def protocol_scheduler_names() -> list[str]:
    """The short names of the nine methods of the published ParallelBench protocol (arXiv 2510.04767)."""
    return list(BUILT_IN)[:_PROTOCOL_METHODS]


def built_in_scheduler_names() -> list[str]:
    """The short names of the schedulers of this package, those of the protocol first."""
    return list(BUILT_IN)


def scheduler_names() -> list[str]:
    """The short names of all schedulers in the order in which tables list them: built in, registered, installed.

    Imports nothing heavy.
    """
    return list(dict.fromkeys([*BUILT_IN, *_registered, *_entry_points()]))


def register_scheduler(name: str) -> Callable[[Registered], Registered]:
    """Class decorator that makes a scheduler known under a short name, as those of this package are.

        @register_scheduler("lucky")
        class LuckyScheduler(UnmaskingScheduler): ...

    Raises:
        ValueError: the name is taken by another class, or is not an identifier in lower case.
        TypeError: what is decorated is not an `UnmaskingScheduler`.
    """
    if not (isinstance(name, str) and name.isidentifier() and name == name.lower()):
        raise ValueError(f"scheduler name {name!r} should be an identifier in lower case, such as 'my_method'")

    def register(cls: Registered) -> Registered:
        _check_class(cls, name)
        taken = _registered.get(name)
        # The same class, defined again by a reloaded module or a notebook cell, takes its own place.
        again = taken is not None and (taken.__module__, taken.__qualname__) == (cls.__module__, cls.__qualname__)
        if not again and (taken is not None or name in BUILT_IN or name in BUILT_IN.values()):
            raise ValueError(f"scheduler name {name!r} is taken by {BUILT_IN.get(name) or taken}; choose another")
        _registered[name] = cls
        return cls

    return register


def scheduler_class(name: str) -> type[UnmaskingScheduler]:
    """The scheduler class called `name`.

    Args:
        name: a short name (`"entropy"`), a built-in class's own (`"EntropyScheduler"`), or where to import a class
            from (`"package.module:ClassName"`).

    Raises:
        ValueError: no scheduler is called so (the message lists those that are), or it cannot be imported.
        TypeError: what was found is not an `UnmaskingScheduler`.
    """
    if ":" in name:
        return _import_class(name)
    if name in _registered:
        return _registered[name]
    class_name = BUILT_IN.get(name, name)
    if class_name in BUILT_IN.values():
        found: type[UnmaskingScheduler] = getattr(sys.modules[__package__ or ""], class_name)
        return found
    installed = _entry_points()
    if name in installed:
        return _import_class(installed[name], name)
    raise ValueError(f"unknown scheduler {name!r}; known are {', '.join(scheduler_names())}")


def _entry_points() -> dict[str, str]:
    """Short name -> `module:Class` of what installed packages bring along."""
    # It imports importlib.metadata, and names of schedulers are light to import.
    from .._plugins import plugins

    return {point.name: point.value for point in plugins(ENTRY_POINT_GROUP)}


def _import_class(location: str, name: str | None = None) -> type[UnmaskingScheduler]:
    module, _, attribute = location.partition(":")
    described = location if name is None else f"{name} ({location})"
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"cannot import scheduler {described}: {error}") from None
    _check_class(found, described)
    cls: type[UnmaskingScheduler] = found
    return cls


def _check_class(found: object, name: str) -> None:
    from .scheduling_utils import UnmaskingScheduler

    if not (isinstance(found, type) and issubclass(found, UnmaskingScheduler)):
        raise TypeError(f"scheduler {name}: {found!r} is not a class derived from UnmaskingScheduler")
