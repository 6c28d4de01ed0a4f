"""Scorers for arithmetic: one number, or a list of numbers; read leniently for `score`, strictly for `score_strict`.

Numbers are compared by value as strings of digits: of any length, without rounding, in time linear in the text.
"""

import re
from collections import deque
from typing import Any

from .reading import read_list
from .scorer import KeyKind, Scorer

# A sign belongs to a number unless it stands between two operands, as in "47-38". U+2212 is the typographic minus.
NUMBER_IN_TEXT = re.compile(
    r"(?:(?<![\w.)\]])[-+\u2212])?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?", re.ASCII
)
NUMBER = re.compile(r"([-+\u2212]?)([0-9]+)(?:\.([0-9]+))?")


def canonical_number(text: str) -> str | None:
    """Return a decimal number in its canonical form, such as `-7`, `0` or `2.5`; None where `text` is something else.

    A plus sign, leading zeros, zeros that end a fraction, and the sign of zero are dropped.
    """
    found = NUMBER.fullmatch(text)
    if found is None:
        return None
    sign, whole, fraction = found[1], found[2].lstrip("0") or "0", (found[3] or "").rstrip("0")
    value = f"{whole}.{fraction}" if fraction else whole
    return value if sign in ("", "+") or value == "0" else f"-{value}"


def read_last_number(text: str) -> str | None:
    """Return the last number in `text` in canonical form, or None where there is none.

    Commas between groups of three digits are part of a number.
    """
    last = deque(NUMBER_IN_TEXT.finditer(text), maxlen=1)
    return canonical_number(last[0][0].replace(",", "")) if last else None


def read_number_list(text: str) -> list[str] | None:
    """Read a list as `read_list` does; its numbers in canonical form, or None where an item is something else."""
    numbers: list[str] = []
    for item in read_list(text):
        number = canonical_number(item.strip())
        if number is None:
            return None
        numbers.append(number)
    return numbers


def read_number_list_strictly(text: str) -> list[str] | None:
    """Read a list of canonical numbers, `[3, 4, 8]`, or return None where it has another form.

    The list stands after the last `[` and before the next `]`, and both are there; numbers are separated by exactly
    `, `. The empty list is `[]`.
    """
    opening = text.rfind("[")
    closing = text.find("]", opening)
    if opening < 0 or closing < 0:
        return None
    body = text[opening + 1 : closing]
    numbers = body.split(", ") if body else []
    return numbers if all(canonical_number(number) == number for number in numbers) else None


def score_math_result(prediction: str, answer: str) -> dict[str, float]:
    """Right when the last number in the prediction has the answer's value; strictly, when that is all there is."""
    expected = canonical_number(answer.strip())
    if read_last_number(prediction) != expected:
        return {"score": 0.0, "score_strict": 0.0}
    return {"score": 1.0, "score_strict": float(prediction.strip() == expected)}


def score_number_list(prediction: str, answer: str) -> dict[str, float]:
    """Right when the list holds the answer's numbers in the same order; the answer is read leniently."""
    expected = read_number_list(answer)
    if read_number_list(prediction) != expected:
        return {"score": 0.0, "score_strict": 0.0}
    return {"score": 1.0, "score_strict": float(read_number_list_strictly(prediction) == expected)}


def is_number(value: Any) -> bool:
    """Tell whether `value` is a string that holds one number and nothing else."""
    return isinstance(value, str) and canonical_number(value.strip()) is not None


def is_number_list(value: Any) -> bool:
    """Tell whether `value` is a string in which a list of numbers can be read."""
    return isinstance(value, str) and read_number_list(value) is not None


NUMBER_SCORERS = {
    "math_result": Scorer(score_math_result, {"answer": KeyKind('a number such as "85"', is_number)}),
    "number_list": Scorer(
        score_number_list, {"answer": KeyKind('a list of numbers such as "[3, 4, 8]"', is_number_list)}
    ),
}
