"""Mask, end and padding ids: from the config and the tokenizer's files, else from the family's table if they fit."""

from __future__ import annotations

import logging
from typing import Any

from .configuration import CheckpointConfig
from .family import Family
from .network import SpecialTokens
from .sources import Source

logger = logging.getLogger(__name__)


def special_tokens(source: Source, config: CheckpointConfig, family: Family | None, vocab_size: int) -> SpecialTokens:
    """The ids of a checkpoint.

    Each comes from config.json, then generation_config.json, then the tokenizer's files; where all are silent, the
    family's published id holds if it lies inside the vocabulary. A checkpoint of the published size whose ids differ
    from the table is loaded as it says, with a warning.

    Raises:
        ValueError: an id is not a whole number, or the mask token lies outside of the vocabulary.
    """
    generation = source.read_json("generation_config.json") or {}
    tokens = tokenizer_ids(source)

    def known(key: str) -> Any:
        return next((found for found in (config.get(key), generation.get(key)) if found is not None), None)

    def published(number: int | None) -> int | None:
        return number if number is not None and number < vocab_size else None

    mask = known("mask_token_id")
    if mask is None:
        mask = tokens.get("mask_token")
    ends = _as_list(config.get("eos_token_id"))
    stops = ends + [end for end in _as_list(generation.get("eos_token_id")) if end not in ends]
    if not stops and "eos_token" in tokens:
        stops = [tokens["eos_token"]]
    eos = stops[0] if stops else None
    if family is not None:
        mask = published(family.mask_token_id) if mask is None else mask
        eos = published(family.eos_token_id) if eos is None else eos
        # A small checkpoint of the family has ids of its own: the published ones mean something else there.
        if vocab_size == family.vocab_size:
            stops += [stop for stop in family.stop_token_ids if stop not in stops]
            _check(source, "mask_token_id", mask, family.mask_token_id)
            _check(source, "eos_token_id", eos, family.eos_token_id, *family.stop_token_ids)
        elif not stops and eos is not None:
            stops = [eos]
    pad = known("pad_token_id")
    if pad is None:
        pad = tokens.get("pad_token", eos)
    for key, number in (("mask_token_id", mask), ("eos_token_id", eos), ("pad_token_id", pad)):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
            raise ValueError(f"{source.name}: {key} is {number!r}; it should be a token id")
    if mask is not None and not 0 <= mask < vocab_size:
        raise ValueError(f"{source.name}: mask_token_id is {mask}; the vocabulary has {vocab_size} tokens")
    return SpecialTokens(mask, eos, pad, tuple(stops))


def tokenizer_ids(source: Source) -> dict[str, int]:
    """Ids of the special tokens that tokenizer_config.json names, without building the tokenizer."""
    settings = source.read_json("tokenizer_config.json") or {}
    by_content = {
        entry["content"]: int(number)
        for number, entry in (settings.get("added_tokens_decoder") or {}).items()
        if isinstance(entry, dict) and "content" in entry
    }
    named: dict[str, int] = {}
    for key in ("mask_token", "eos_token", "pad_token"):
        token = settings.get(key)
        content = token.get("content") if isinstance(token, dict) else token
        if content is None:
            continue
        if content not in by_content:
            added = (source.read_json("tokenizer.json") or {}).get("added_tokens") or []
            by_content = {entry["content"]: int(entry["id"]) for entry in added} | by_content
        if content in by_content:
            named[key] = by_content[content]
    return named


def _as_list(ids: Any) -> list[int]:
    if ids is None:
        return []
    return list(ids) if isinstance(ids, list) else [ids]


def _check(source: Source, key: str, found: int | None, *published: int | None) -> None:
    if published[0] is not None and found is not None and found not in published:
        logger.warning("%s: %s is %s; its family publishes %s", source.name, key, found, published[0])
