"""What every scorer declares: the keys of its reference, and the function that scores one prediction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class KeyKind:
    """What the value of one reference key has to be.

    Args:
        description: what is expected, as an error message says it.
        accepts: tells whether a value, fresh from JSON, is of this kind.
    """

    description: str
    accepts: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Scorer:
    """One way to score a prediction.

    Args:
        score: called with the prediction and, by name, the values of the reference keys; returns values in 0..1.
        keys: the reference keys that must be there.
        defaults: reference keys that may be left out, with the value they then have; their kind stands in `keys`.
        gated_by_grammar: true for text. `score` is then the quality before the text's grammar is looked at: the grammar
            verdict (0 or 1) multiplies it, and is itself the headline.
        prepare: loads what the scorer needs, before anything is scored, and returns a signature of each part of it,
            such as the name and version of a package; None where it needs nothing.
        score_many: `score` of many rows at once, for what is faster in batches: called with the predictions and, for
            each, a mapping of the reference keys; None where there is nothing to gain.
    """

    score: Callable[..., dict[str, float]]
    keys: Mapping[str, KeyKind]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    gated_by_grammar: bool = False
    prepare: Callable[[], dict[str, str]] | None = None
    score_many: Callable[[Sequence[str], Sequence[Mapping[str, Any]]], list[dict[str, float]]] | None = None


def is_strings(value: Any) -> bool:
    """Tell whether `value` is a list of strings."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def is_positive_integer(value: Any) -> bool:
    """Tell whether `value` is an int of 1 or more; a bool is not an int here."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


STRING = KeyKind("a string", lambda value: isinstance(value, str))
STRINGS = KeyKind("a list of strings", is_strings)
SOME_STRINGS = KeyKind("a list of one or more strings", lambda value: is_strings(value) and bool(value))
DISTINCT_STRINGS = KeyKind(
    "a list of one or more strings, no two alike",
    lambda value: is_strings(value) and bool(value) and len(set(value)) == len(value),
)
POSITIVE_INTEGER = KeyKind("an integer of 1 or more", is_positive_integer)
