"""The unmasking schedulers, one class a file, and the names under which the command line knows them.

`__init__.pyi` lists them; nothing heavy is imported before a class is touched.
"""

from .._lazy import lazy_exports, stub_exports

_MODULES = stub_exports(__name__)
__all__ = sorted(_MODULES)
__getattr__, __dir__ = lazy_exports(__name__, _MODULES)
