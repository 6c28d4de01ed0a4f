"""The commands of `generate_tasks.py`; each imports what it needs when it runs, so that `--help` is instant."""

from .shared import OneLineErrors

__all__ = ["OneLineErrors"]
