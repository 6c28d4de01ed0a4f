"""Tokenizers from their files alone: chat template, mask and end tokens, padding side."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from random_checkpoint import TINY_CONFIGS
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers import models as tokenizer_models

from samplers import models

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
CHAT = "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% endfor %}<|answer|>"


def write_tokenizer(folder: Path, config: dict[str, Any] | None = None, **tokens: Any) -> Path:
    """A byte-level tokenizer with a chat template; `tokens` as transformers names them."""
    folder.mkdir(parents=True, exist_ok=True)
    bytes_alone = Tokenizer(tokenizer_models.BPE(vocab={c: i for i, c in enumerate(ALPHABET)}, merges=[]))
    bytes_alone.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_alone.decoder = decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=bytes_alone, **tokens)
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_tokenizer_comes_with_all_that_decoding_needs(tmp_path: Path) -> None:
    config = TINY_CONFIGS["sdar"] | {"mask_token_id": 257, "eos_token_id": 256, "vocab_size": 258}
    tokenizer = models.load_tokenizer(write_tokenizer(tmp_path, config, eos_token="<|end|>", mask_token="<|mask|>"))
    assert (tokenizer.padding_side, tokenizer.mask_token_id, tokenizer.eos_token_id) == ("left", 257, 256)
    assert tokenizer.pad_token == "<|end|>"
    rows = [[{"role": "user", "content": text}] for text in ("Hi", "Hello")]
    batch = tokenizer.apply_chat_template(rows, tokenize=True, padding=True, return_dict=True)
    assert batch["attention_mask"][0][:3] == [0, 0, 0]
    assert tokenizer.decode(batch["input_ids"][1]) == "<|user|>Hello<|answer|>"
    assert len(tokenizer("<|mask|>")["input_ids"]) == 1


def test_ids_of_the_config_name_the_tokens_that_the_tokenizer_does_not(tmp_path: Path) -> None:
    config = TINY_CONFIGS["llada"] | {"mask_token_id": 257, "eos_token_id": 256, "vocab_size": 258}
    folder = write_tokenizer(tmp_path, config, additional_special_tokens=["<|eot|>", "<|mdm_mask|>"])
    tokenizer = models.load_tokenizer(folder)
    assert (tokenizer.mask_token, tokenizer.mask_token_id) == ("<|mdm_mask|>", 257)
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|eot|>", "<|eot|>")


def test_nobody_names_a_mask_token(tmp_path: Path) -> None:
    config = TINY_CONFIGS["fast_dllm"] | {"mask_token_id": None, "vocab_size": 257, "eos_token_id": 256}
    tokenizer = models.load_tokenizer(write_tokenizer(tmp_path, config, eos_token="<|end|>"))
    assert tokenizer.mask_token is None


def test_python_code_beside_the_tokenizer_is_not_run(tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path, TINY_CONFIGS["dream"] | {"vocab_size": 258}, eos_token="<|end|>")
    (folder / "tokenization_dream.py").write_text("raise SystemExit('somebody ran me')")
    change(
        folder / "tokenizer_config.json",
        tokenizer_class="DreamTokenizer",
        auto_map={"AutoTokenizer": ["tokenization_dream.DreamTokenizer", None]},
    )
    assert models.load_tokenizer(folder).decode([ALPHABET.index("a")]) == "a"


def test_vocabulary_and_merges_are_read_as_qwen2_does(tmp_path: Path) -> None:
    """Dream publishes no tokenizer.json, but the two files that its own class reads."""
    vocabulary = {character: index for index, character in enumerate(ALPHABET)} | {"he": 256, "hel": 257}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "merges.txt").write_text("#version: 0.2\nh e\nhe l\n")
    added = {
        "258": {"content": "<|endoftext|>", "special": True},
        "259": {"content": "<|mask|>", "special": True},
    }
    settings = {
        "tokenizer_class": "DreamTokenizer",
        "auto_map": {"AutoTokenizer": ["tokenization_dream.DreamTokenizer", None]},
        "added_tokens_decoder": added,
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "mask_token": "<|mask|>",
        "chat_template": CHAT,
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "config.json").write_text(json.dumps(TINY_CONFIGS["dream"] | {"vocab_size": 260, "mask_token_id": 259}))
    tokenizer = models.load_tokenizer(tmp_path)
    assert tokenizer("hello<|mask|>")["input_ids"] == [257, ALPHABET.index("l"), ALPHABET.index("o"), 259]
    assert (tokenizer.mask_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (259, 258, 258)
    assert tokenizer.chat_template == CHAT


def test_tokenizer_that_is_python_code_says_how_to_get_files(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(TINY_CONFIGS["dream"]))
    (tmp_path / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["a.B", null]}}')
    with pytest.raises(
        ValueError, match=r"is Python code in its repository .* save it with save_pretrained to get one"
    ):
        models.load_tokenizer(tmp_path)


def test_directory_without_tokenizer_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(TINY_CONFIGS["llada"]))
    with pytest.raises(
        ValueError, match=r"has no tokenizer: no tokenizer.json, and no vocab.json with merges.txt"
    ) as error:
        models.load_tokenizer(tmp_path)
    assert "\n" not in str(error.value)


def test_broken_tokenizer_is_one_line(tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path, TINY_CONFIGS["llada"], eos_token="<|end|>")
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    with pytest.raises(ValueError, match=r"tokenizer.json cannot be read") as error:
        models.load_tokenizer(folder)
    assert "\n" not in str(error.value)
