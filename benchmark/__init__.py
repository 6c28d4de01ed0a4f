"""Runs models, schedulers and tasks together: theory, results and reports.

import benchmark

table = benchmark.run(model=model, tokenizer=tokenizer, tasks="waiting_line_copy", methods="confidence", samples=20)
samples = benchmark.load_samples("results/my-run")
changes = benchmark.compare("results/before", "results/after")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .comparing import compare
    from .reading import load_samples
    from .running import run

__all__ = ["compare", "load_samples", "run"]

_MODULES = {"compare": "comparing", "run": "running", "load_samples": "reading"}


def __getattr__(name: str) -> Any:
    # Imported when it is first touched, so that `import benchmark` costs nothing.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    globals()[name] = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    return globals()[name]
