"""The error for what cannot be done on this machine at this moment, though nothing is wrong with the request."""


class UnavailableError(ValueError):
    """Something is missing: a network, a server, a pinned dataset, or the split of a task. The message says what.

    Building and checking leave out what needs it and go on; whoever asks for that one thing alone sees a ValueError.
    """
