"""The error for a program, package, model or server that is missing, or does not answer."""

from importlib import import_module
from typing import Any


class UnavailableError(OSError):
    """A program, package, model or server that a score needs is not available; the message says what to do."""


def import_needed(module: str, purpose: str, requirement: str, otherwise: str = "") -> Any:
    """Import a module of a package that some score needs and others do not.

    Args:
        module: its full name, such as `sacrebleu.metrics.bleu`.
        purpose: what needs it, in the first words of the message.
        requirement: what pip has to install.
        otherwise: other ways out, in the last words of the message.

    Raises:
        UnavailableError: it is not installed, or something that it imports is not.
    """
    try:
        return import_module(module)
    except ImportError as missing:
        raise UnavailableError(
            f'{purpose} needs {requirement} ({in_one_line(missing)}): pip install "{requirement}"{otherwise}'
        ) from None


def in_one_line(reason: object) -> str:
    """Return the words of an error, or of anything else, as one line."""
    return " ".join(str(reason).split()) or type(reason).__name__
