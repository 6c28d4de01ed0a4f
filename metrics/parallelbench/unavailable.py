"""The error for what a score needs and this machine does not have, or what stopped answering."""

from importlib import import_module
from typing import Any


class UnavailableError(OSError):
    """A program, package, model or server that a score needs cannot be had; the message says what to do about it."""


def import_needed(module: str, purpose: str, requirement: str, otherwise: str = "") -> Any:
    """Import a module of a package that some score needs and others do not.

    Args:
        module: its full name, such as `sacrebleu.metrics.bleu`.
        purpose: what needs it, in the first words of the message.
        requirement: what to hand to pip.
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
