"""A word-level tokenizer with a chat template, whose vocabulary is what occurs in a set of rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from .answers import answer_form, is_enumerable, join_items, reference_items, split_items, valid_answers

PAD, END, MASK, UNKNOWN = "<|pad|>", "<|end|>", "<|mask|>", "<|unknown|>"
SYSTEM, USER, ASSISTANT = "<|system|>", "<|user|>", "<|assistant|>"
SPECIAL_TOKENS = (PAD, END, MASK, UNKNOWN, SYSTEM, USER, ASSISTANT)

# A word with the space before it, a single digit, a run of punctuation with the space before it, or a lone space. Cells
# of a grid are one token each that way, and a name is one token per word, however it is built (O'Hara, Smith-Jones).
_WORD_PATTERN = r" ?\p{L}+(?:['’\-]\p{L}+)*| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s"

_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


class ItemTokenizer(PreTrainedTokenizerFast):
    """A word-level tokenizer that also has one token per item, so that an answer of n items is exactly n tokens.

    Items (people, cells) are what a model generates: ids that are items and nothing else decode to the canonical answer
    they stand for, brackets and separators included. Text is tokenized into words as ever; `encode_items` gives the
    items of an answer.

    Args:
        answer_form: How items are written in an answer: `list`, `csv_grid` or `digit_grid`.
        items: The items, each of which is in the vocabulary.
    """

    def __init__(self, *args: Any, answer_form: str = "list", items: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*args, answer_form=answer_form, items=list(items), **options)  # type: ignore[no-untyped-call]
        self.answer_form = answer_form
        self.items = list(items)
        self._item_of_id = {token_id(self, item): item for item in self.items}

    def encode_items(self, answer: str) -> list[int]:
        """The ids of a canonical answer's items, one each."""
        return [token_id(self, item) for item in split_items(answer, self.answer_form)]

    def _decode(  # type: ignore[override]
        self, token_ids: Any, skip_special_tokens: bool = False, **options: Any
    ) -> str:
        ids = [token_ids] if isinstance(token_ids, int) else list(token_ids)
        if skip_special_tokens:
            special = set(self.all_special_ids)
            ids = [token for token in ids if token not in special]
        if ids and all(token in self._item_of_id for token in ids):
            return join_items([self._item_of_id[token] for token in ids], self.answer_form)
        return super()._decode(ids, skip_special_tokens=skip_special_tokens, **options)


def build_tokenizer(rows: Iterable[Mapping[str, Any]], *, item_tokens: bool = False) -> PreTrainedTokenizerFast:
    """A tokenizer for the messages, answers and valid answers of some rows.

    Tokens are whole words, single digits and runs of punctuation, each with the space before it:
    ``["Ada Stone", "Grace Field"]`` is ``["``, ``Ada``, `` Stone``, ``",``, `` "``, ``Grace``, `` Field``, ``"]``.
    Decoding concatenates, so every text of the rows comes back exactly. The vocabulary is sorted, after the special
    tokens: the same rows in any order give the same ids. Anything else is the unknown token.

    Args:
        rows: Rows in the dataset's schema; `messages`, `answer` and `reference` are read.
        item_tokens: Give every item of an answer (a person, a cell) a token of its own: see `ItemTokenizer`.

    Raises:
        ValueError: There are no rows, a message has a role other than system, user and assistant, or items are asked
            for and the rows' answers are not all of one form.
    """
    rows = list(rows)
    if not rows:
        raise ValueError("a tokenizer needs at least one row to take its vocabulary from, got none")
    for row in rows:
        for message in row["messages"]:
            if f"<|{message['role']}|>" not in (SYSTEM, USER, ASSISTANT):
                raise ValueError(f"a message's role is system, user or assistant, got {message['role']!r}")

    pre_tokenizer = pre_tokenizers.Split(Regex(_WORD_PATTERN), behavior="isolated")
    words = {word for text in _texts(rows) for word, _ in pre_tokenizer.pre_tokenize_str(text)}
    items: list[str] = []
    form = "list"
    if item_tokens:
        form = _common_form(rows)
        items = sorted({item for row in rows for item in reference_items(row["reference"])})

    vocabulary = [*SPECIAL_TOKENS, *sorted(words.union(items))]
    backend = Tokenizer(models.WordLevel({token: index for index, token in enumerate(vocabulary)}, unk_token=UNKNOWN))
    backend.pre_tokenizer = pre_tokenizer
    backend.decoder = decoders.Fuse()
    options: dict[str, Any] = {
        "tokenizer_object": backend,
        "pad_token": PAD,
        "eos_token": END,
        "mask_token": MASK,
        "unk_token": UNKNOWN,
        "additional_special_tokens": [SYSTEM, USER, ASSISTANT],
        "chat_template": _CHAT_TEMPLATE,
        "padding_side": "left",
        "clean_up_tokenization_spaces": False,
    }
    if item_tokens:
        return ItemTokenizer(answer_form=form, items=items, **options)
    return PreTrainedTokenizerFast(**options)  # type: ignore[no-untyped-call]


def ends_are_alphanumeric(items: Iterable[str]) -> bool:
    """Whether a token ends wherever one of these items meets the punctuation and spaces of an answer."""
    return all(item and item[0].isalnum() and item[-1].isalnum() for item in items)


def token_id(tokenizer: Any, token: str) -> int:
    """The id of one token; the unknown token's where the vocabulary lacks it."""
    return cast(int, tokenizer.convert_tokens_to_ids(token))


def _texts(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Texts that together hold every word of the rows' messages and valid answers."""
    for row in rows:
        yield from (message["content"] for message in row["messages"])
        yield row["answer"]
        if not is_enumerable(row["reference"]):
            continue
        items = reference_items(row["reference"])
        if ends_are_alphanumeric(items):
            # Valid answers differ in which items stand where, and an item's words do not depend on its place: one
            # made-up answer of all items stands for thousands.
            yield join_items(items, answer_form(row["reference"]))
        else:
            yield from valid_answers(row["reference"], include_input=True)


def _common_form(rows: Sequence[Mapping[str, Any]]) -> str:
    forms = {answer_form(row["reference"]) for row in rows}
    if len(forms) > 1:
        raise ValueError(f"one token per item needs rows whose answers have one form, got {', '.join(sorted(forms))}")
    return forms.pop()
