"""The ideal model: an exact denoiser for every task whose valid answers can be enumerated, and its tokenizer.

Names are imported when they are first touched, so that ``import benchmark.ideal`` loads neither torch nor transformers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .answers import is_enumerable, join_items, split_items, valid_answers
    from .borrowed import BorrowedTokenizer
    from .denoiser import DenoiserOutput, ExactDenoiser
    from .tokenizer import ItemTokenizer, build_tokenizer

_MODULE_OF = {
    "is_enumerable": "answers",
    "join_items": "answers",
    "split_items": "answers",
    "valid_answers": "answers",
    "BorrowedTokenizer": "borrowed",
    "ItemTokenizer": "tokenizer",
    "build_tokenizer": "tokenizer",
    "DenoiserOutput": "denoiser",
    "ExactDenoiser": "denoiser",
}

__all__ = [
    "BorrowedTokenizer",
    "DenoiserOutput",
    "ExactDenoiser",
    "ItemTokenizer",
    "build_tokenizer",
    "is_enumerable",
    "join_items",
    "split_items",
    "valid_answers",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
