"""The training mix: questions of all task shapes, drawn from the dataset's own generators."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from typing import Any

from hub_dataset import task_info
from hub_dataset.configs import TaskConfig
from hub_dataset.generators import Generator, Question
from hub_dataset.generators.lists import ListGenerator, format_list
from hub_dataset.generators.pools import names_of_test
from hub_dataset.randomness import Stream
from hub_dataset.rows import held_out_identities

from .names import TrainingPeople
from .posteriors import LIST_SCORERS, Choices, can_list
from .tokenizer import render_chat
from .unknown_words import UnknownWords

# Parts of the mix by config. Shuffling and sorting took longest to learn, and choosing freely is where parallel
# decoding fails, so they get most.
WEIGHTS: Mapping[str, float] = {
    "waiting_line_copy": 5,
    "waiting_line_reverse": 6,
    "waiting_line_sort": 16,
    "waiting_line_shuffle": 16,
    "waiting_line_insert_index": 5,
    "waiting_line_insert_random": 8,
    "waiting_line_remove_index": 4,
    "waiting_line_remove_random": 6,
    "waiting_line_replace_index": 5,
    "waiting_line_replace_random": 10,
    "puzzle_latin_square_n4": 5,
    "puzzle_sudoku_n4_12": 3,
    "words_to_sentence_easy": 4,
    "words_to_sentence_medium": 3.5,
    "words_to_sentence_hard": 3.5,
    "text_writing_paraphrase": 6,
    "text_writing_summarize": 7,
    "case_study_copy_n6": 0.5,
    "case_study_copy_n10": 0.5,
    "case_study_replace_index_n6": 0.5,
    "case_study_replace_index_n10": 0.5,
    "case_study_replace_random_n6": 0.8,
    "case_study_replace_random_n10": 0.8,
    "case_study_shuffle_n6": 1.2,
    "case_study_shuffle_n10": 1.2,
}
# Share of the prompts that leave the one-shot example out: they cost half, and users' own tasks may have none.
WITHOUT_EXAMPLE = 0.3


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt as the chat template renders it, and right answers to it.

    `task` is the number of the config in the mix. `answers` are right answers, one where every answer is the same;
    where all of them can be listed, there are `choices` as well.
    """

    task: int
    prompt: str
    answers: tuple[str, ...]
    choices: Choices | None = None


class Mixture:
    """Draws examples of the mix.

    Args:
        people: who stands in the lines.
        answers: how many answers to draw for a question that has several.
        weights: config → its part; a config without training texts is left out.
        unknown: what puts made-up words into texts; None leaves them as the grammar makes them.

    Attributes:
        names: the configs in the mix.
        texts: numbers of those whose answers are texts.
    """

    def __init__(
        self,
        people: TrainingPeople,
        *,
        answers: int = 1,
        weights: Mapping[str, float] = WEIGHTS,
        unknown: UnknownWords | None = None,
    ) -> None:
        self.names = [name for name in weights if "train" in task_info(name).splits]
        self._answers = answers
        self._cumulative = list(accumulate(weights[name] for name in self.names))
        self._tasks = [_Task.of(task_info(name), people, unknown) for name in self.names]
        self.texts = frozenset(number for number, task in enumerate(self._tasks) if task.config.task_type.is_text)

    def draw(self, draw: Stream) -> Example:
        """One example, from the stream alone."""
        number = bisect(self._cumulative, draw() * self._cumulative[-1])
        return self._tasks[number].draw(draw, number, self._answers)


@dataclass(frozen=True, slots=True)
class _Task:
    config: TaskConfig
    generator: Generator
    held_out: frozenset[Hashable]
    unknown: UnknownWords | None

    @classmethod
    def of(cls, config: TaskConfig, people: TrainingPeople, unknown: UnknownWords | None) -> _Task:
        generator: Any = config.task_type.make(config, "train")
        if config.items == "people":
            # No name of test is among them, so no question of test can come up.
            return cls(config, replace(generator, pool=people), frozenset(), unknown)
        return cls(config, generator, held_out_identities(config), unknown)

    def draw(self, draw: Stream, number: int, count: int) -> Example:
        config = self.config
        question = self._question(draw, config.min_length, config.max_length, frozenset())
        chat = []
        if config.shots and draw() >= WITHOUT_EXAMPLE:
            for _ in range(config.shots):
                example = self._question(draw, config.example_min_length, config.example_max_length, question.used)
                chat += [("user", config.prompt.format_map(example.fields)), ("assistant", example.answer)]
        chat.append(("user", config.prompt.format_map(question.fields)))
        choices = self._choices(question)
        answers = (question.answer,) if choices else self._answers(draw, question, count)
        return Example(number, render_chat(chat), answers, choices)

    def _question(self, draw: Stream, shortest: int, longest: int, avoid: frozenset[str]) -> Question:
        length = shortest + int(draw() * (longest - shortest + 1))
        while True:
            question = self.generator.draw(draw, length, avoid)
            if question.identity in self.held_out or (self.config.task_type.is_text and _names_of_test(question)):
                continue
            if self.config.task_type.is_text and self.unknown is not None:
                texts, answer = self.unknown.put(draw, list(question.fields.values()), question.answer)
                return replace(question, fields=dict(zip(question.fields, texts, strict=True)), answer=answer)
            return question

    def _choices(self, question: Question) -> Choices | None:
        scorer = self.config.scorer
        items: Sequence[str] = question.scoring.get("input", question.scoring.get("symbols", ()))
        if not can_list(scorer, len(items)):
            return None
        new = question.scoring.get("word")
        return Choices(scorer, (*items, new) if new else tuple(items))

    def _answers(self, draw: Stream, question: Question, count: int) -> tuple[str, ...]:
        """The question's answer and `count` − 1 more right ones, or the only one."""
        if count > 1 and isinstance(self.generator, ListGenerator) and self.generator.scorer in LIST_SCORERS:
            items, word = question.scoring["input"], question.scoring.get("word", "")
            more = [format_list(self.generator.operation(draw, list(items), word)[0]) for _ in range(count - 1)]
            return (question.answer, *more)
        return (question.answer,)


def _names_of_test(question: Question) -> bool:
    """Whether a name of test stands in a text; "Brown" at the beginning of a sentence counts."""
    text = " ".join([question.answer, *question.fields.values()])
    return not _test_names().isdisjoint(re.findall(r"[A-Z][a-z]+", text))


_test_names = cache(names_of_test)
