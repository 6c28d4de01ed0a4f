"""The tokenizer: a byte-level BPE with a chat template, trained on training texts alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# The names of the ideal model's special tokens: it finds a prompt's end by them, so both can be run with one tokenizer.
PAD, END, MASK = "<|pad|>", "<|end|>", "<|mask|>"
SYSTEM, USER, ASSISTANT = "<|system|>", "<|user|>", "<|assistant|>"
SPECIAL_TOKENS = (PAD, END, MASK, SYSTEM, USER, ASSISTANT)

VOCABULARY = 4096
# What stands between two people is one token, and so is each end of a list. A capital is cut off with the letter after
# it: names then begin with one of some 500 tokens, which says how they sort, and take two or three tokens each.
PATTERN = r'", "|\["|"\]| ?\p{Lu}\p{Ll}?| ?\p{Ll}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s'

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def render_chat(messages: Iterable[tuple[str, str]]) -> str:
    """What the chat template makes of (role, content) pairs, with the generation prompt at the end."""
    return "".join(f"<|{role}|>{content}{END}" for role, content in messages) + ASSISTANT


def train_tokenizer(texts: Iterable[str], vocabulary: int = VOCABULARY) -> Tokenizer:
    """A tokenizer for `texts` with the special tokens first, then the bytes, then the merges.

    Raises:
        ValueError: `vocabulary` has no room for the special tokens and the 256 bytes.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    least = len(SPECIAL_TOKENS) + 256
    if vocabulary < least:
        raise ValueError(
            f"a vocabulary of {vocabulary} has no room for bytes and special tokens; give at least {least}"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def name_pieces(tokenizer: Tokenizer) -> tuple[list[str], list[str]]:
    """Beginnings of names and what may follow them, each one token of the vocabulary, in alphabetical order."""
    tokens = sorted(tokenizer.get_vocab())
    heads = [token for token in tokens if re.fullmatch("[A-Z][a-z]", token)]
    tails = [token for token in tokens if re.fullmatch("[a-z]{1,6}", token)]
    return heads, tails


def save_tokenizer(tokenizer: Tokenizer, directory: Path) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja`, as transformers reads them."""
    from transformers import PreTrainedTokenizerFast

    make: Any = PreTrainedTokenizerFast
    wrapped = make(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        mask_token=MASK,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    wrapped.save_pretrained(directory)


def load_backend(directory: Path) -> Tokenizer:
    """The tokenizer of a model directory without transformers, which workers need not import.

    Raises:
        ValueError: the directory has no tokenizer, or it cannot be read.
    """
    from tokenizers import Tokenizer

    path = directory / "tokenizer.json"
    if not path.is_file():
        raise ValueError(f"{path} does not exist; `python -m training tokenizer` makes it")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(f"{path} is not a tokenizer: {error}") from None


def corpus(names: Iterable[str], texts: Iterable[str]) -> Iterator[str]:
    """What the tokenizer is trained on: people in lists, as they stand in prompts and answers, and the texts."""
    drawn = iter(names)
    for first, last, other_first, other_last in zip(drawn, drawn, drawn, drawn, strict=False):
        yield f'["{first} {last}", "{other_first} {other_last}"]'
    yield from texts
