"""Code of the user's own that a run names as `package.module:name`: found, told by its source, named in errors."""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

_OURS = ("samplers", "benchmark", "hub_dataset")
# Of what ours is built on, checkouts count as installed too: which of their modules are loaded changes from process to
# process.
_LIBRARIES = ("torch", "transformers", "diffusers", "huggingface_hub")
_DIGITS = 12
#: Top-level name → folder that it lies in, of all modules of the user's own that a run has named.
_named: dict[str, Path] = {}


class UserCodeError(ValueError):
    """Something failed in code of the user's own, or because of what it returned; the cause is the error itself."""


@contextmanager
def as_user_code(used: bool, where: str) -> Iterator[None]:
    """Where code of the user's own is `used`, take an error for its own and say `where` it happened.

    Raises:
        UserCodeError: in place of any error but those that are one line by themselves.
    """
    try:
        yield
    except (ValueError, OSError, MemoryError):
        raise
    except Exception as error:
        if not used:
            raise
        raise UserCodeError(f"{where}: {type(error).__name__}: {error}") from error


def search_here(location: str) -> None:
    """Let `package.module` of `location` be imported from the current directory too, and know its errors from ours.

    An installed command does not look where it is called from. The directory comes last, so that nothing installed is
    shadowed.
    """
    if os.getcwd() not in sys.path:  # noqa: PTH109
        sys.path.append(os.getcwd())  # noqa: PTH109
    remember(location.partition(":")[0])


def remember(module: str) -> None:
    """Take a module for the user's own, unless it is ours or installed."""
    top = module.partition(".")[0]
    file = _file_of(top)
    if file is not None and is_users_file(file):
        _named[top] = Path(file).parent.parent if Path(file).name == "__init__.py" else Path(file).parent


def _file_of(top: str) -> str | None:
    loaded = sys.modules.get(top)
    if loaded is not None:
        return getattr(loaded, "__file__", None)
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    return spec.origin if spec is not None else None


def is_users_file(file: str) -> bool:
    """Whether a file of Python is neither ours, nor installed, nor of Python itself."""
    path = Path(file)
    if path.suffix != ".py" or not path.is_file() or "site-packages" in path.parts or "dist-packages" in path.parts:
        return False
    if any(path.resolve().is_relative_to(folder) for folder in _library_folders()):
        return False
    return not _is_installed(path)


def _is_installed(path: Path) -> bool:
    """Whether a file is of a package that lies where Python looks, as one of our libraries or beside its record."""
    for folder in sys.path:
        if folder and path.is_relative_to(folder):
            top = path.relative_to(folder).parts[0].removesuffix(".py")
            if top in _LIBRARIES or top in _installed_in(folder):
                return True
    return False


@cache
def _installed_in(folder: str) -> frozenset[str]:
    """Names of packages and modules that were installed into a folder of any name, as by `pip install --target`.

    What is installed for editing has its record elsewhere.
    """
    records = (one.read_text("RECORD") or "" for one in distributions(path=[folder]))
    files = (line.partition(",")[0].split("/") for record in records for line in record.splitlines())
    return frozenset(parts[0].removesuffix(".py") for parts in files)


@cache
def _library_folders() -> tuple[Path, ...]:
    ours = Path(__file__).resolve().parents[2]
    python = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return (*(ours / name for name in _OURS), *python)


def sources(*classes_or_functions: Any) -> dict[str, str]:
    """Name of each of the user's modules that these stand in, or use → a hash of its source, by name.

    A module uses another of the user's that it, or one that it uses, has imported names from.
    """
    found: dict[str, str] = {}
    waiting = [str(getattr(entry, "__module__", None)) for entry in classes_or_functions]
    while waiting:
        name = waiting.pop()
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None)
        if name in found or file is None or not is_users_file(file):
            continue
        found[name] = _source_hash(Path(file))
        for value in vars(module).values():
            waiting.append(str(value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)))
    return dict(sorted(found.items()))


def class_sources(of: type) -> dict[str, str]:
    """Module → a hash of its source, for a class, whoever wrote it.

    Modules are those of its own package, and of `samplers`, among those of its bases, and what `sources` finds.
    """
    packages = ("samplers", of.__module__.partition(".")[0])
    modules = {base.__module__ for base in of.__mro__ if base.__module__.partition(".")[0] in packages}
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in modules}
    found = {name: _source_hash(Path(file)) for name, file in files.items() if file is not None}
    return dict(sorted((found | sources(*of.__mro__)).items()))


def _source_hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:_DIGITS]


def place_of_error(error: BaseException) -> str | None:
    """File and line, in one of the user's modules, where an error or what led to it was raised; else None."""
    for one in _chain(error):
        if isinstance(one, SyntaxError) and one.filename and _is_below_named(one.filename):
            return f"{_short(one.filename)}, line {one.lineno}"
        places = list(traceback.walk_tb(one.__traceback__))
        # Code of the user's own runs where a module that a run named has been called; helpers of it count as well.
        if any(str(frame.f_globals.get("__name__")).partition(".")[0] in _named for frame, _ in places):
            for frame, line in reversed(places):
                if _is_below_named(frame.f_code.co_filename):
                    return f"{_short(frame.f_code.co_filename)}, line {line}"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it was raised for or while handling, innermost first."""
    chain: list[BaseException] = []
    now: BaseException | None = error
    while now is not None and now not in chain:
        chain.append(now)
        now = now.__cause__ or now.__context__
    return reversed(chain)


def _is_below_named(file: str) -> bool:
    below = any(Path(file).resolve().is_relative_to(folder.resolve()) for folder in _named.values())
    return below and is_users_file(file)


def _short(file: str) -> str:
    path, here = Path(file).resolve(), Path.cwd().resolve()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
