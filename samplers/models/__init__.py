"""Diffusion language models from their published weights, without remote code.

    from samplers import models

    model = models.load("GSAI-ML/LLaDA-8B-Instruct", dtype="bfloat16", device="cuda")
    tokenizer = models.load_tokenizer("GSAI-ML/LLaDA-8B-Instruct")

Importing this package costs milliseconds: torch and transformers are imported when a name is first touched.
"""

from typing import TYPE_CHECKING

from .._lazy import lazy_exports

if TYPE_CHECKING:
    from .family import Family, PublishedCheckpoint
    from .loading import check, load
    from .registry import families
    from .sources import Source, find
    from .tokenizers import load_tokenizer

__all__ = ["Family", "PublishedCheckpoint", "Source", "check", "families", "find", "load", "load_tokenizer"]

_MODULES = {
    "Family": ".family",
    "PublishedCheckpoint": ".family",
    "Source": ".sources",
    "check": ".loading",
    "families": ".registry",
    "find": ".sources",
    "load": ".loading",
    "load_tokenizer": ".tokenizers",
}
__getattr__, __dir__ = lazy_exports(__name__, _MODULES)
