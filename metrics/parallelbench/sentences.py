"""Cutting texts: into chunks that a checker can take, and into sentences."""

import re

# Characters of a text that are looked at: five chunks, each of which may take seconds where a text is nothing but emoji
# or brackets.
LONGEST = 10_000
# LanguageTool's time grows with the square of the length where nothing but quotes or commas is in a text.
CHUNK = 2_000
# Where a chunk may end, the best first.
BREAKS = ("\n", ". ", " ")
SENTENCE_END = re.compile(r"[.!?\u2026]['\")\]\u2019\u201d]*\s+(?=['\"(\[\u2018\u201c]*[^\Wa-z_])|[\r\n]+")
# A full stop after these ends no sentence.
ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Prof|Mt|Jr|Sr|vs|No|[A-Z])|\b(?:e\.g|i\.e))\.$")


def chunks(text: str, limit: int) -> list[str]:
    """Cut the first `limit` characters of a text into chunks of at most 2,000, at ends of lines or sentences if it can.

    No chunk is blank, and the text of an answer is far shorter than one chunk.
    """
    text = text[:limit]
    cut: list[str] = []
    start = 0
    while start < len(text):
        end = start + CHUNK
        if end < len(text):
            places = (text.rfind(mark, start + CHUNK // 2, end) + len(mark) for mark in BREAKS)
            end = next((place for place in places if place > start + CHUNK // 2), end)
        chunk = text[start:end].strip()
        if chunk:
            cut.append(chunk)
        start = end
    return cut


def sentences(text: str) -> list[str]:
    """Split a text into sentences: after a full stop, question or exclamation mark before a capital, and at line ends.

    Common abbreviations and initials end no sentence. No sentence is blank.
    """
    found: list[str] = []
    start = 0
    for end in SENTENCE_END.finditer(text):
        if ABBREVIATION.search(text, max(start, end.start() - 8), end.start() + 1):
            continue
        found.append(text[start : end.end()].strip())
        start = end.end()
    found.append(text[start:].strip())
    return [sentence for sentence in found if sentence]
