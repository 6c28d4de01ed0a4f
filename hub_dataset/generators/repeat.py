"""Repetition: a list written several times in a row, as one long list.

Every token of the answer is determined by the prompt, so none depends on another: an ideal model decodes the whole
answer in one step without loss, however long it is. What a real model loses here it loses by not knowing *where* in the
repetition a masked position is, which grows with the number of repetitions while the content stays the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..randomness import Stream
from ..task_config import MASK, Question, TaskConfig, TaskType
from .lists import format_list, pool_limits
from .pools import Pool, pool_of


@dataclass(frozen=True, slots=True)
class RepeatGenerator:
    """Draws a list from a pool; the answer runs through it `times` times. The length is that of the list."""

    pool: Pool
    times: int

    def draw(self, draw: Stream, length: int, avoid: frozenset[str]) -> Question:
        items = self.pool.draw(draw, length, avoid)
        context = format_list(items)
        answer = format_list(items * self.times)
        return Question(
            fields={"context": context, "times": str(self.times)},
            answer=answer,
            scoring={"answer": answer},
            output_format=format_list([MASK] * (length * self.times)),
            length=length,
            identity=context,
            used=self.pool.words(items),
        )


def _limits(config: TaskConfig) -> list[tuple[str, str]]:
    if config.times < 2:
        return [("times", f"{config.times} is too few; the list is to be repeated, at least 2 times")]
    return pool_limits(config, smallest=1, new=0, longest_answer=config.max_length * config.times)


REPEAT = TaskType(
    scorer="list_match",
    placeholders=frozenset({"context", "times"}),
    settings=frozenset({"items", "times"}),
    make=lambda config, split: RepeatGenerator(pool_of(config, split), config.times),
    limits=_limits,
)
