"""English inflection: articles by sound, plurals, verb forms, comparatives."""

from __future__ import annotations

from typing import NamedTuple

_VOWELS = "aeiou"
# Words whose first sound is not what their first letter says.
_CONSONANT_SOUND = ("uni", "use", "usual", "utensil", "eu", "one", "once", "ubiq")
_VOWEL_SOUND = ("hour", "honest", "honor", "heir", "herb", "x-ray")
_UNI_WITH_VOWEL = ("unin", "unim", "unid")
_COMMON = {"good": "better", "bad": "worse", "little": "smaller", "far": "farther"}
# Adjectives of two syllables that take -er.
_SHORT = frozenset({"quiet", "gentle", "clever", "simple", "narrow"})


class Noun(NamedTuple):
    """A noun with its plural, which is empty for one that cannot be counted."""

    singular: str
    plural: str


class Verb(NamedTuple):
    """A verb with its forms; a `stative` one has no progressive."""

    base: str
    third: str
    past: str
    participle: str
    progressive: str
    stative: bool = False


def with_article(words: str) -> str:
    """`words` behind "a" or "an", whichever fits the sound they begin with: "an hour", "a university"."""
    return f"{article(words)} {words}"


def article(words: str) -> str:
    """The indefinite article that fits the sound that `words` begin with."""
    word = words.lower()
    if word.startswith(_VOWEL_SOUND):
        return "an"
    if word.startswith(_CONSONANT_SOUND) and not word.startswith(_UNI_WITH_VOWEL):
        return "a"
    return "an" if word[0] in _VOWELS else "a"


def plural(noun: str) -> str:
    """The regular plural of a noun."""
    if noun.endswith("y") and noun[-2] not in _VOWELS:
        return f"{noun[:-1]}ies"
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return f"{noun}es"
    return f"{noun}s"


def read_noun(entry: str) -> Noun:
    """A noun as the lexicon writes it: `spoon`, `knife/knives`, or `bread~`, which cannot be counted."""
    if entry.endswith("~"):
        return Noun(entry[:-1], "")
    singular, _, irregular = entry.partition("/")
    return Noun(singular, irregular or plural(singular))


def read_verb(entry: str) -> Verb:
    """A verb as the lexicon writes it.

    `cook` is regular; `chop+` doubles its last letter; `eat ate eaten` gives past and participle; `need!` is stative. A
    particle follows its verb after an underscore: `try_on`.
    """
    stative = "!" in entry
    base, *forms = entry.replace("!", "").split()
    base, _, particle = base.partition("_")
    doubled = base.endswith("+")
    base = base.rstrip("+")
    stem = base + base[-1] if doubled else base
    regular = _past(base, stem)
    past, participle = forms or (regular, regular)
    third, past, participle, progressive = (
        f"{form} {particle}".rstrip() for form in (_third(base), past, participle, _progressive(base, stem))
    )
    return Verb(f"{base} {particle}".rstrip(), third, past, participle, progressive, stative)


def comparative(adjective: str) -> str:
    """The comparative of an adjective: "bigger", "happier", "more careful"."""
    if adjective in _COMMON:
        return _COMMON[adjective]
    if adjective.endswith("y") and adjective[-2] not in _VOWELS and _syllables(adjective) <= 2:
        return f"{adjective[:-1]}ier"
    if _syllables(adjective) > 1 and adjective not in _SHORT:
        return f"more {adjective}"
    if adjective.endswith("e"):
        return f"{adjective}r"
    if _doubles(adjective):
        return f"{adjective}{adjective[-1]}er"
    return f"{adjective}er"


def _third(base: str) -> str:
    if base in ("go", "do"):
        return f"{base}es"
    return plural(base)


def _past(base: str, stem: str) -> str:
    if base.endswith("e"):
        return f"{base}d"
    if base.endswith("y") and base[-2] not in _VOWELS:
        return f"{base[:-1]}ied"
    return f"{stem}ed"


def _progressive(base: str, stem: str) -> str:
    if base.endswith("e") and not base.endswith(("ee", "oe", "ye")):
        return f"{base[:-1]}ing"
    return f"{stem}ing"


def _doubles(word: str) -> bool:
    return len(word) >= 3 and word[-1] not in "aeiouwxy" and word[-2] in _VOWELS and word[-3] not in _VOWELS


def _syllables(word: str) -> int:
    groups = sum(
        letter in "aeiouy" and (place == 0 or word[place - 1] not in "aeiouy") for place, letter in enumerate(word)
    )
    # An e at the end is silent, but not behind a consonant and an l, as in "gentle".
    silent = word.endswith("e") and groups > 1 and not (word.endswith("le") and word[-3] not in _VOWELS)
    return groups - silent
