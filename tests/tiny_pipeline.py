"""A tiny masked language model with random weights and a tiny tokenizer, for tests with diffusers' pipeline."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

SPECIAL = ("[PAD]", "[MASK]", "[EOS]", "[UNK]")
WORDS = (*SPECIAL, *(f"word{number}" for number in range(44)))
MASK, EOS = WORDS.index("[MASK]"), WORDS.index("[EOS]")


@cache
def tiny_tokenizer() -> Any:
    """One token per word, `word0` to `word43`, and four special ones; without a chat template."""
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, mask_token="[MASK]", eos_token="[EOS]", pad_token="[PAD]", unk_token="[UNK]"
    )


@cache
def tiny_model() -> Any:
    """A BERT of one layer whose logits differ enough from place to place for the methods to differ."""
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.6,
        pad_token_id=0,
    )
    model = BertForMaskedLM(config).eval()
    model.config.mask_token_id = MASK
    return model
