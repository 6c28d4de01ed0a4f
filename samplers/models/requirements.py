"""The error for a package that some models need and this installation does not have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needed_by(purpose: str, requirement: str | None = None) -> Iterator[None]:
    """Around the import of a package that not everybody installs.

    Args:
        purpose: what needs it, in the first words of the message.
        requirement: what to hand to pip; None where only the error of the import knows which package it is.

    Raises:
        ValueError: it is not installed, or something that it imports is not.
    """
    try:
        yield
    except ImportError as missing:
        reason = " ".join(str(missing).split()) or type(missing).__name__
        install = "" if requirement is None else f': pip install "{requirement}"'
        raise ValueError(f"{purpose} needs {requirement or 'another package'} ({reason}){install}") from None
