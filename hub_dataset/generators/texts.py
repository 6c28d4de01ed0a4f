"""Open text tasks: paraphrasing a sentence and summarising a dialogue.

The texts of test come from a file or from the Hub; those of train and validation are made by a grammar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..grammar import grammar_checker
from ..hub_texts import hub_dialogues, hub_paraphrases
from ..randomness import Stream, draw_index, pick
from ..sentences.dialogues import DialogueGrammar
from ..sentences.paraphrases import ParaphraseGrammar
from ..task_config import Question, TaskConfig, TaskType
from ..text_files import Text, read_dialogues, read_paraphrases
from ..text_sources import HubDataset, TextFile

# So many made texts in a row of a wrong length mean that the config asks for one that the grammar does not have.
MOST_REFUSED = 10_000


class Texts(Protocol):
    """Texts by number; None stands for one that is not to be used."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Text | None: ...


class TextGrammar(Protocol):
    """Makes texts without end, each with an answer."""

    def draw(self, draw: Stream) -> tuple[str, str]: ...


@dataclass(frozen=True, slots=True)
class TextKind:
    """What tells the two tasks apart: paraphrasing and summarising.

    `field` is the prompt's placeholder; `read_file` and `read_hub` read the texts of a source, and
    `grammar(vocabulary)` makes others; `scoring(text, answer)` gives the reference's keys, and `checked(text, answer)`
    what must be grammatical in a dataset that nobody has looked through.
    """

    field: str
    read_file: Callable[[Path], Texts]
    read_hub: Callable[[HubDataset], Texts]
    grammar: Callable[[str], TextGrammar]
    scoring: Callable[[str, str], dict[str, str]]
    checked: Callable[[str, str], Sequence[str]]


class TextGenerator:
    """Draws each text once at most, in random order, and one of its answers.

    Texts with fewer or more words than the config allows are passed over, and so are those that `accepts` refuses; it
    sees what has to be grammatical.
    """

    def __init__(
        self, config: TaskConfig, kind: TextKind, texts: Texts, accepts: Callable[[Sequence[str]], bool]
    ) -> None:
        self._config = config
        self._kind = kind
        self._texts = texts
        self._accepts = accepts
        self._left = list(range(len(texts)))
        self._drawn = 0

    def draw(self, draw: Stream, length: int, avoid: frozenset[str]) -> Question:
        """A text with one of its answers. Its length is its own: `length` cannot be asked for, and `avoid` not met."""
        while self._left:
            place = draw_index(draw, len(self._left))
            self._left[place], self._left[-1] = self._left[-1], self._left[place]
            text = self._texts[self._left.pop()]
            if text is None or not self._config.min_length <= _words(text.text) <= self._config.max_length:
                continue
            answer = pick(draw, text.answers)
            if not self._accepts(self._kind.checked(text.text, answer)):
                continue
            self._drawn += 1
            return _question(self._kind, text.text, answer)
        config = self._config
        raise ValueError(
            f"{config.origin}.rows: {config.rows}: {config.name}: {config.source} has only {self._drawn} texts of "
            f"{config.min_length} to {config.max_length} words that can be used"
        )


class MadeTexts:
    """Texts that a grammar makes, with as many words as the config allows."""

    def __init__(self, config: TaskConfig, kind: TextKind) -> None:
        self._config = config
        self._kind = kind
        self._grammar = kind.grammar(config.vocabulary)

    def draw(self, draw: Stream, length: int, avoid: frozenset[str]) -> Question:
        """A text with its answer. As in test its length is its own, and `avoid` not met."""
        config = self._config
        for _ in range(MOST_REFUSED):
            text, answer = self._grammar.draw(draw)
            if config.min_length <= _words(text) <= config.max_length and answer.casefold() != text.casefold():
                return _question(self._kind, text, answer)
        raise ValueError(
            f"{config.origin}.min_length: {config.min_length}: {config.name}: no text of {config.min_length} to "
            f"{config.max_length} words came up among {MOST_REFUSED} made ones"
        )


def _question(kind: TextKind, text: str, answer: str) -> Question:
    return Question(
        fields={kind.field: text},
        answer=answer,
        scoring=kind.scoring(text, answer),
        output_format="",
        length=_words(text),
        identity=text,
        used=frozenset(),
    )


def _generator(kind: TextKind, config: TaskConfig, split: str) -> TextGenerator | MadeTexts:
    if split != "test":
        return MadeTexts(config, kind)
    source = config.source
    if isinstance(source, TextFile):
        return TextGenerator(config, kind, kind.read_file(source.path), accepts=lambda texts: True)
    if source is None:
        raise ValueError(f"{config.origin}.source: is missing; the task type {config.type} needs it")
    # Before the download: without a checker it would be for nothing.
    checker = grammar_checker()
    return TextGenerator(config, kind, kind.read_hub(source), checker.accepts)


def _words(text: str) -> int:
    return len(text.split())


def _limits(config: TaskConfig) -> list[tuple[str, str]]:
    if config.shots:
        return [("shots", f"{config.shots} is not 0; text tasks show no example")]
    return []


def _task_type(scorer: str, kind: TextKind) -> TaskType:
    return TaskType(
        scorer=scorer,
        placeholders=frozenset({kind.field}),
        settings=frozenset({"source"}),
        make=lambda config, split: _generator(kind, config, split),
        limits=_limits,
        optional=frozenset({"vocabulary"}),
        fixed_texts=True,
        is_text=True,
        open_ended=True,
    )


PARAPHRASE = _task_type(
    "paraphrase",
    TextKind(
        field="text",
        read_file=read_paraphrases,
        read_hub=hub_paraphrases,
        grammar=ParaphraseGrammar,
        scoring=lambda text, answer: {"text": text},
        checked=lambda text, answer: (text, answer),
    ),
)
SUMMARIZE = _task_type(
    "summary",
    TextKind(
        field="dialogue",
        read_file=read_dialogues,
        read_hub=hub_dialogues,
        grammar=DialogueGrammar,
        scoring=lambda text, answer: {"summary": answer},
        # Only the summary: chats are written as people chat, and hardly any would pass.
        checked=lambda text, answer: (answer,),
    ),
)
