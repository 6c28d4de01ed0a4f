"""The error for what a score needs and this machine does not have, or what stopped answering."""


class UnavailableError(OSError):
    """A program, package, model or server that a score needs cannot be had; the message says what to do about it."""


def in_one_line(reason: object) -> str:
    """Return the words of an error, or of anything else, as one line."""
    return " ".join(str(reason).split()) or type(reason).__name__
