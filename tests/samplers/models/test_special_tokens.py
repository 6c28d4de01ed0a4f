"""Mask, end and padding ids: from the files first, then the family's."""

import json
from pathlib import Path

import pytest
from random_checkpoint import written
from recorded_logits import sample_of

from samplers import models


def test_special_tokens_come_from_the_files(tmp_path: Path) -> None:
    model = models.load(sample_of("llada_a"))
    assert (model.mask_token_id, model.eos_token_id, model.pad_token_id) == (126, 123, 123)
    assert (model.vocab_size, model.block_length, model.attention) == (128, None, "full")
    folder = written(tmp_path, "sdar")
    (folder / "generation_config.json").write_text('{"eos_token_id": [59, 60]}')
    assert models.load(folder).stop_token_ids == (60, 59)


def test_mask_token_of_the_tokenizer_s_files(tmp_path: Path) -> None:
    folder = written(tmp_path, "fast_dllm", config={"mask_token_id": None})
    assert models.load(folder).mask_token_id is None
    settings = {"mask_token": "|<MASK>|", "added_tokens_decoder": {"61": {"content": "|<MASK>|"}}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert models.load(folder).mask_token_id == 61


def test_mask_token_of_the_family_holds_inside_the_vocabulary(tmp_path: Path) -> None:
    small = {"vocab_size": 151936, "hidden_size": 4, "intermediate_size": 4, "num_attention_heads": 1}
    small |= {"num_key_value_heads": 1, "num_hidden_layers": 1, "mask_token_id": None, "eos_token_id": None}
    model = models.load(written(tmp_path, "fast_dllm", config=small | {"pad_token_id": None}))
    assert (model.mask_token_id, model.eos_token_id, model.pad_token_id) == (151665, 151645, 151645)


def test_ids_that_differ_from_the_published_ones_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    small = {"vocab_size": 152064, "hidden_size": 4, "intermediate_size": 4, "num_attention_heads": 1}
    small |= {"num_key_value_heads": 1, "num_hidden_layers": 1, "mask_token_id": 7}
    assert models.load(written(tmp_path, "dream", config=small)).mask_token_id == 7
    assert "mask_token_id is 7; its family publishes 151666" in caplog.text
