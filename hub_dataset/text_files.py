"""Reads the YAML files in `sources/`, and others like them: paraphrases, dialogues with summaries, lists of words.

A file is a list. Its entries have the keys `sentence` and `paraphrases` (a list), or `dialogue` and `summary`, or
`words` (a list) and `sentence`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .yaml_files import read_yaml, refuse_unknown, shorten


@dataclass(frozen=True, slots=True)
class Text:
    """A text to work on, and answers that are right, each different from the text."""

    text: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WordList:
    """Words in a fixed order, and a sentence that contains each of them."""

    words: tuple[str, ...]
    sentence: str


@cache
def read_paraphrases(path: Path) -> tuple[Text, ...]:
    """The sentences of a file, each with its paraphrases.

    Raises ValueError, naming file, entry and value, for a file of another form.
    """
    texts = []
    for where, entry in _entries(path, "sentence", "paraphrases"):
        paraphrases = entry["paraphrases"]
        if not isinstance(paraphrases, list) or not paraphrases:
            raise ValueError(f"{path.name}: {where}.paraphrases: {shorten(paraphrases)} is not a list of strings")
        answers = [_text(path, f"{where}.paraphrases", paraphrase) for paraphrase in paraphrases]
        texts.append(_checked(path, where, _text(path, f"{where}.sentence", entry["sentence"]), answers))
    return _distinct(path, texts)


@cache
def read_dialogues(path: Path) -> tuple[Text, ...]:
    """The dialogues of a file, each with its summary.

    Raises ValueError, naming file, entry and value, for a file of another form.
    """
    texts = []
    for where, entry in _entries(path, "dialogue", "summary"):
        dialogue = _text(path, f"{where}.dialogue", entry["dialogue"])
        texts.append(_checked(path, where, dialogue, [_text(path, f"{where}.summary", entry["summary"])]))
    return _distinct(path, texts)


@cache
def read_word_lists(path: Path) -> tuple[WordList, ...]:
    """The lists of words of a file, each with its sentence.

    Raises ValueError, naming file, entry and value, for a file of another form, a word that stands in another of its
    list or not in the sentence, and a list that is given twice.
    """
    lists = []
    seen: set[frozenset[str]] = set()
    for where, entry in _entries(path, "words", "sentence"):
        words, sentence = entry["words"], _text(path, f"{where}.sentence", entry["sentence"])
        if not isinstance(words, list) or not words:
            raise ValueError(f"{path.name}: {where}.words: {shorten(words)} is not a list of words")
        words = [_text(path, f"{where}.words", word) for word in words]
        for place, word in enumerate(words):
            if any(word in other for other in words[:place] + words[place + 1 :]):
                raise ValueError(f"{path.name}: {where}.words: {word!r} stands in another word of its list")
            if word not in sentence:
                raise ValueError(f"{path.name}: {where}.sentence: {word!r} does not stand in {shorten(sentence)}")
        if frozenset(words) in seen:
            raise ValueError(f"{path.name}: {where}.words: {shorten(words)} is given twice")
        seen.add(frozenset(words))
        lists.append(WordList(tuple(words), sentence))
    return tuple(lists)


def _entries(path: Path, *keys: str) -> list[tuple[str, dict[str, Any]]]:
    content = read_yaml(path)
    if not isinstance(content, list) or not content:
        raise ValueError(f"{path.name}: {shorten(content)} is not a list of entries with {' and '.join(keys)}")
    entries = []
    for number, entry in enumerate(content, start=1):
        where = f"entry {number}"
        if not isinstance(entry, dict):
            raise ValueError(f"{path.name}: {where}: {shorten(entry)} has no keys; it needs {' and '.join(keys)}")
        refuse_unknown(path, f"{where}.", entry, keys)
        for key in keys:
            if key not in entry:
                raise ValueError(f"{path.name}: {where}.{key}: is missing")
        entries.append((where, entry))
    return entries


def _text(path: Path, where: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{path.name}: {where}: {shorten(value)} is blank or not a string")
    return value.strip()


def _checked(path: Path, where: str, text: str, answers: list[str]) -> Text:
    for answer in answers:
        if answer.casefold() == text.casefold():
            raise ValueError(f"{path.name}: {where}: {shorten(answer)} is the text itself, not an answer to it")
    return Text(text, tuple(answers))


def _distinct(path: Path, texts: list[Text]) -> tuple[Text, ...]:
    seen: set[str] = set()
    for number, text in enumerate(texts, start=1):
        if text.text in seen:
            raise ValueError(f"{path.name}: entry {number}: {shorten(text.text)} is given twice")
        seen.add(text.text)
    return tuple(texts)
