"""The reference model that ships with the project."""

import math

from hub_dataset.parts import MODEL

NAME = "reference"
# Its tokens are short: a fourth of the waiting lines' answers take more than the protocol's 32. The model's config may
# say otherwise, as `answer_length`.
ANSWER_LENGTH = 64
DIRECTORY = MODEL


def is_here() -> bool:
    """Whether this installation has its weights."""
    return (DIRECTORY / "config.json").is_file() and (DIRECTORY / "model.safetensors").is_file()


def parameters() -> int | None:
    """How many it has, from the head of its weights' file; None where it is not here."""
    if not is_here():
        return None
    from safetensors import safe_open

    with safe_open(DIRECTORY / "model.safetensors", framework="numpy") as weights:
        return sum(int(math.prod(weights.get_slice(name).get_shape())) for name in weights.keys())  # noqa: SIM118
