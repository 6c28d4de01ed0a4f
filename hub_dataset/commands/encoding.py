"""Output that takes every character, whatever the encoding of the terminal or the file it goes to."""

from __future__ import annotations

import codecs
import io
import sys

#: What stands for our signs where the encoding has none of them; "?" stands for any other character.
ASCII = {
    **{"░": "_", "·": "-", "«": "[", "»": "]", "⏎": "\\n", "␣": "_"},
    **{"±": "+-", "→": "->", "…": "...", "–": "-", "—": "-", "×": "x", "’": "'"},
}
_NAME = "parallelbench.ascii"


def encode_anything() -> None:
    """Let standard output and errors take every character, so that none of them ends a command."""
    codecs.register_error(_NAME, _spell)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_NAME)


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(ASCII.get(sign, "?") for sign in error.object[error.start : error.end]), error.end
