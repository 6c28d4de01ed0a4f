"""Names that a package exports but imports only when they are first touched."""

from __future__ import annotations

import importlib
import os.path
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def stub_exports(package: str) -> dict[str, str]:
    """Exported name → submodule (".module") of a package, in the order of its type stub, `__init__.pyi`.

    A line of the stub imports one name (`from .module import Name as Name`), or all that a subpackage exports
    (`from .package import *`). Type checkers, editors and documentation tools read the same lines.
    """
    spec: Any = sys.modules[package].__spec__
    return _read(spec.loader, spec.submodule_search_locations[0])


def _read(loader: Any, directory: str) -> dict[str, str]:
    exports: dict[str, str] = {}
    # Read by hand: a parser would take longer to import than all the rest.
    for line in loader.get_data(os.path.join(directory, "__init__.pyi")).decode().splitlines():  # noqa: PTH118
        match line.split():
            case ["from", module, "import", "*", *_]:
                subpackage = os.path.join(directory, module.removeprefix("."))  # noqa: PTH118
                exports |= dict.fromkeys(_read(loader, subpackage), module)
            case ["from", module, "import", name, "as", _]:
                exports[name] = module
    return exports


def lazy_exports(
    package: str, modules: Mapping[str, str], hidden: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of `package`, whose public names live in the submodules that `modules` gives.

    A name is looked up in its module once; from then on it is an ordinary attribute of the package. The names of
    `hidden` are found in the same way and not listed.
    """
    where = {**modules, **(hidden or {})}

    def __getattr__(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(where[name], package), name)
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__, lambda: sorted(modules)
