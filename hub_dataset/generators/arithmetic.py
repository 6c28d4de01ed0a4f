"""Arithmetic: one operation on two numbers, and the running sums of a list.

Both have exactly one right answer, so its tokens do not depend on each other once the prompt is read, and an ideal
model loses nothing in one step. What is lost shows how much *computation* a single forward pass holds: the first digits
of a result need the carries of the last ones, and a running sum decoded by itself needs all numbers before it, where
one decoded after its left neighbour needs a single addition. Methods that choose an easy order win here, in contrast to
tasks such as `shuffle`, where it is the choice among right answers that goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..randomness import Stream, draw_index
from ..task_config import MASK, Question, TaskConfig, TaskType

# More digits would no longer be trivial.
MOST_DIGITS = 9
HIGHEST_NUMBER = 10**MOST_DIGITS - 1


@dataclass(frozen=True, slots=True)
class Operation:
    """One arithmetic operation: how it is written, and what turns two drawn numbers into operands and result."""

    sign: str
    arrange: Callable[[int, int], tuple[int, int, int]]
    commutes: bool


OPERATIONS = {
    "add": Operation("+", lambda a, b: (a, b, a + b), True),
    # The larger number comes first, so that no result is negative.
    "subtract": Operation("-", lambda a, b: (max(a, b), min(a, b), abs(a - b)), False),
    "multiply": Operation("*", lambda a, b: (a, b, a * b), True),
    # Without remainder: the dividend is the product of divisor and result.
    "divide": Operation("/", lambda a, b: (a * b, a, b), False),
}


@dataclass(frozen=True, slots=True)
class MathOpGenerator:
    """Draws two numbers of `length` digits each; the last operand and the result where they are divided."""

    operation: Operation

    def draw(self, draw: Stream, length: int, avoid: frozenset[str]) -> Question:
        low, high = 10 ** (length - 1), 10**length
        while True:
            first, second = (low + draw_index(draw, high - low) for _ in range(2))
            left, right, result = self.operation.arrange(first, second)
            operands = sorted((left, right)) if self.operation.commutes else (left, right)
            identity = " ".join(map(str, operands))
            if identity not in avoid:
                break
        return Question(
            fields={"expression": f"{left} {self.operation.sign} {right}"},
            answer=str(result),
            scoring={"answer": str(result)},
            output_format="",
            length=length,
            identity=identity,
            used=frozenset({identity}),
        )


@dataclass(frozen=True, slots=True)
class CumulativeSumGenerator:
    """Draws `length` numbers from 1 to `max_number`; the answer holds the sum of the first one, the first two, …"""

    max_number: int

    def draw(self, draw: Stream, length: int, avoid: frozenset[str]) -> Question:
        while True:
            numbers = [1 + draw_index(draw, self.max_number) for _ in range(length)]
            written = _format(numbers)
            if written not in avoid:
                break
        answer = _format([sum(numbers[: place + 1]) for place in range(length)])
        return Question(
            fields={"numbers": written},
            answer=answer,
            scoring={"answer": answer},
            output_format=f"[{', '.join([MASK] * length)}]",
            length=length,
            identity=written,
            used=frozenset({written}),
        )


def _format(numbers: list[int]) -> str:
    return f"[{', '.join(map(str, numbers))}]"


def _math_op_limits(config: TaskConfig) -> list[tuple[str, str]]:
    if config.operation not in OPERATIONS:
        return [("operation", f"{config.operation!r} is not one of {', '.join(OPERATIONS)}")]
    return [
        (key, f"{length} is not a number of digits from 1 to {MOST_DIGITS}")
        for key, length in config.lengths.items()
        if length > MOST_DIGITS
    ]


def _cumulative_sum_limits(config: TaskConfig) -> list[tuple[str, str]]:
    problems = [
        (key, f"{length} is too short for this task; it needs at least 2")
        for key, length in config.lengths.items()
        if length < 2
    ]
    if not 2 <= config.max_number <= HIGHEST_NUMBER:
        problems.append(("max_number", f"{config.max_number} is not from 2 to {HIGHEST_NUMBER}"))
    return problems


MATH_OP = TaskType(
    scorer="math_result",
    placeholders=frozenset({"expression"}),
    settings=frozenset({"operation"}),
    make=lambda config, split: MathOpGenerator(OPERATIONS[config.operation]),
    limits=_math_op_limits,
)

CUMULATIVE_SUM = TaskType(
    scorer="number_list",
    placeholders=frozenset({"numbers"}),
    settings=frozenset({"max_number"}),
    make=lambda config, split: CumulativeSumGenerator(config.max_number),
    limits=_cumulative_sum_limits,
)
