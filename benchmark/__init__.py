"""Runs models, schedulers and tasks together: theory, results and reports.

import benchmark

table = benchmark.run(model=model, tokenizer=tokenizer, tasks="waiting_line_copy", methods="confidence", samples=20)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .running import run

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    # Imported when it is first touched, so that `import benchmark` costs nothing.
    if name == "run":
        from .running import run

        globals()[name] = run
        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
