"""Sentences that must contain given words: written by hand for test, made by a grammar for training."""

from __future__ import annotations

from ..randomness import Stream, pick
from ..sentences.sentences import MOST_WORDS, SentenceGrammar
from ..task_config import Question, TaskConfig, TaskType
from ..text_files import WordList, read_word_lists
from ..text_sources import TextFile

# The share of training sentences that mention words of the source in a pattern. The others use their words, but the
# grammar knows no more than its lexicon, and test may ask for a word of any kind.
MENTIONED = 0.25

# Words are mentioned here, not used, so that any of them fits, whatever its part of speech; after a colon, since a
# grammar checker reads "the words river" as a slip for "the word's river".
_PATTERNS = (
    "These words were on the board: {words}.",
    "Today we learned these words: {words}.",
    "Our teacher asked us to spell these words: {words}.",
    "Can you find these words in the dictionary: {words}?",
    "The list has these words on it: {words}.",
    "Please remember these words until tomorrow: {words}.",
)


class ListedSentences:
    """The lists of the source in their order, each shortened to its first words, with the sentence written for it.

    So row i asks for the first words of the same list in every config of a level.
    """

    def __init__(self, lists: tuple[WordList, ...]) -> None:
        self._left = iter(lists)

    def draw(self, draw: Stream, length: int, avoid: frozenset[str]) -> Question:
        entry = next(self._left, None)
        if entry is None:
            raise ValueError("the source has no more lists of words")
        return _question(entry.words[:length], entry.sentence)


class DrawnSentences:
    """Sentences of a grammar, each with some of the words that it uses; a share of them mention words of the source.

    Without a grammar all of them do. The words of a list belong together at the easy level; mentioned ones do not. They
    are for learning the form, and share words with test, but no list: no sentence that was written for test is among
    the answers.
    """

    def __init__(self, lists: tuple[WordList, ...], grammar: SentenceGrammar | None) -> None:
        self._words = list(dict.fromkeys(word for entry in lists for word in entry.words))
        self._grammar = grammar

    def draw(self, draw: Stream, length: int, avoid: frozenset[str]) -> Question:
        if self._grammar is None or draw() < MENTIONED:
            return self._mention(draw, length, avoid)
        while True:
            sentence, words = self._grammar.draw(draw, length)
            if avoid.isdisjoint(words):
                return _question(tuple(words), sentence)

    def _mention(self, draw: Stream, length: int, avoid: frozenset[str]) -> Question:
        words: list[str] = []
        while len(words) < length:
            word = pick(draw, self._words)
            # The scorer looks for words inside words, so none may be contained in another.
            if word not in avoid and not any(word in other or other in word for other in words):
                words.append(word)
        named = f"{', '.join(words[:-1])}{',' * (length > 2)} and {words[-1]}"
        return _question(tuple(words), pick(draw, _PATTERNS).format(words=named))


def _question(words: tuple[str, ...], sentence: str) -> Question:
    return Question(
        fields={"words": ", ".join(words)},
        answer=sentence,
        scoring={"words": list(words)},
        output_format="",
        length=len(words),
        identity=frozenset(words),
        used=frozenset(words),
    )


def _make(config: TaskConfig, split: str) -> ListedSentences | DrawnSentences:
    lists = _lists(config)
    if split == "test":
        return ListedSentences(lists)
    return DrawnSentences(lists, SentenceGrammar(config.vocabulary) if config.vocabulary else None)


def _lists(config: TaskConfig) -> tuple[WordList, ...]:
    if not isinstance(config.source, TextFile):
        raise ValueError(f"{config.origin}.source: {config.source} is not a file with lists of words")
    return read_word_lists(config.source.path)


def _limits(config: TaskConfig) -> list[tuple[str, str]]:
    if config.shots:
        return [("shots", f"{config.shots} is not 0; text tasks show no example")]
    if not isinstance(config.source, TextFile):
        return [("source", f"{config.source} is not a file with lists of words")]
    lists = _lists(config)
    shortest = min(len(entry.words) for entry in lists)
    problems = [
        (key, f"{getattr(config, key)} is more than the {shortest} words of the shortest list in {config.source}")
        for key in ("min_length", "max_length")
        if getattr(config, key) > shortest
    ]
    if config.vocabulary and config.max_length > MOST_WORDS:
        problems.append(("max_length", f"{config.max_length} is more than the {MOST_WORDS} words of a made sentence"))
    if config.rows > len(lists):
        problems.append(("rows", f"{config.rows} is more than the {len(lists)} lists in {config.source}"))
    return problems


WORDS_TO_SENTENCE = TaskType(
    scorer="words_to_sentence",
    placeholders=frozenset({"words"}),
    settings=frozenset({"source"}),
    make=_make,
    limits=_limits,
    is_text=True,
    optional=frozenset({"vocabulary"}),
    shortest_to_train_on=2,
)
