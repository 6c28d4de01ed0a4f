"""`load_tokenizer`: from the tokenizer's files alone, never through Python code that lies beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .configuration import CheckpointConfig
from .registry import family_of
from .requirements import needed_by
from .sources import Source, find
from .special_tokens import special_tokens


def load_tokenizer(name_or_path: str | Path, *, revision: str | None = None) -> Any:
    """The tokenizer of a model, padding on the left, with its chat template and the ids of mask, end and padding.

    Args:
        name_or_path: a directory, or a repository on the Hub.
        revision: branch, tag or commit on the Hub.

    Returns:
        A tokenizer of transformers. `mask_token_id` is None where neither files nor family name a mask token;
        `pad_token` is the end token where the files name none.

    Raises:
        ValueError: the model does not exist or cannot be reached, or it has no tokenizer that can be read without
            running its code.
    """
    source = find(name_or_path, revision)
    tokenizer = _read(source, source.directory)
    tokenizer.padding_side = "left"
    values = source.read_json("config.json")
    if values is not None:
        config = CheckpointConfig(values, f"{source.name}/config.json")
        size = config.get("vocab_size", 0)
        vocabulary = max(len(tokenizer), size if isinstance(size, int) else 0)
        tokens = special_tokens(source, config, family_of(config), vocabulary)
        for name, number in (("mask_token", tokens.mask_token_id), ("eos_token", tokens.eos_token_id)):
            if getattr(tokenizer, name) is None and number is not None:
                token = tokenizer.convert_ids_to_tokens(number) if number < len(tokenizer) else None
                if token is not None:
                    setattr(tokenizer, name, token)
    if tokenizer.pad_token is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _read(source: Source, directory: Path) -> Any:
    import transformers

    settings = source.read_json("tokenizer_config.json") or {}
    if (directory / "tokenizer.json").is_file():
        try:
            return transformers.PreTrainedTokenizerFast.from_pretrained(directory)
        except Exception as error:  # the Rust reader raises Exception itself
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"{directory / 'tokenizer.json'} cannot be read: {reason}") from None
    if (directory / "vocab.json").is_file() and (directory / "merges.txt").is_file():
        # Dream's and SDAR's own classes read these two files as Qwen2's tokenizer does.
        return transformers.Qwen2Tokenizer.from_pretrained(directory)
    name = str(settings.get("tokenizer_class", ""))
    known = getattr(transformers, name, None) or getattr(transformers, f"{name}Fast", None)
    if known is not None and _has_vocabulary(directory):
        with needed_by(f"the tokenizer of {source.name!r}"):
            return known.from_pretrained(directory)
    if "auto_map" in settings:
        raise ValueError(
            f"the tokenizer of {source.name!r} is Python code in its repository ({settings['auto_map']}) and has no "
            "tokenizer.json; load it with transformers' AutoTokenizer and trust_remote_code=True, and save it with "
            "save_pretrained to get one"
        )
    raise ValueError(
        f"{source.name!r} has no tokenizer: no tokenizer.json, and no vocab.json with merges.txt; "
        "put the files of the model's tokenizer beside its config.json"
    )


def _has_vocabulary(directory: Path) -> bool:
    return any(any(directory.glob(pattern)) for pattern in ("vocab.*", "*.model"))
