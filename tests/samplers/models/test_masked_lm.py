"""Masked language models of transformers work as they are: padding, positions, and their ids."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from samplers import ConfidenceScheduler, generate, models

SMALL = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
CONFIGS: dict[str, Any] = {
    "bert": lambda: transformers.BertConfig(**SMALL, pad_token_id=0),
    "roberta": lambda: transformers.RobertaConfig(**SMALL, max_position_embeddings=64, pad_token_id=1),
    "modernbert": lambda: transformers.ModernBertConfig(
        **SMALL, pad_token_id=0, cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3
    ),
    "distilbert": lambda: transformers.DistilBertConfig(
        vocab_size=40, dim=16, hidden_dim=24, n_layers=2, n_heads=2, pad_token_id=0
    ),
}


@pytest.fixture(params=CONFIGS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = CONFIGS[request.param]()
    model = transformers.AutoModelForMaskedLM.from_config(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(tmp_path)
    return tmp_path


def test_padded_batch_equals_its_rows_alone(folder: Path) -> None:
    model = models.load(folder)
    assert (model.attention, model.block_length, model.vocab_size) == ("full", None, 40)
    pad = model.pad_token_id
    rows = [torch.tensor([5, 6, 7, 8, 9]), torch.tensor([11, 12])]
    ids = torch.tensor([[5, 6, 7, 8, 9], [pad, pad, pad, 11, 12]])
    mask = torch.tensor([[1] * 5, [0, 0, 0, 1, 1]])
    options: dict[str, Any] = {"max_new_tokens": 4, "mask_token_id": 39}
    together = generate(model, ids, attention_mask=mask, scheduler=ConfidenceScheduler(k=1), **options)
    for index, row in enumerate(rows):
        alone = generate(model, row[None], scheduler=ConfidenceScheduler(k=1), **options)
        assert together.sequences[index, 5:].tolist() == alone.sequences[0, len(row) :].tolist()


def test_logits_are_those_of_transformers(folder: Path) -> None:
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        theirs = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()(ids).logits
        ours = models.load(folder)
        assert torch.allclose(ours(ids).logits, theirs, atol=1e-6)
        assert torch.allclose(ours(ids, logits_to_keep=torch.tensor([1, 3])).logits, theirs[:, [1, 3]], atol=1e-6)
        assert torch.allclose(ours(ids, logits_to_keep=2).logits, theirs[:, 2:], atol=1e-6)
    assert models.load(folder, dtype="bfloat16").dtype == torch.bfloat16


def test_missing_tensors_are_listed(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    gone = next(name for name in tensors if "layers.1" in name or "layer.1" in name)
    save_file({name: tensor for name, tensor in tensors.items() if name != gone}, folder / "model.safetensors")
    with pytest.raises(ValueError, match=f"does not fit its config; tensors missing: .*{gone}"):
        models.load(folder)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("vocab_size", 7, "tensors of another shape: bert.embeddings.word_embeddings.weight"),
        ("hidden_act", "none such", "the model cannot be built from it"),
        ("hidden_size", "wide", "the model cannot be built from it"),
        ("is_decoder", True, "is_decoder is True"),
        ("position_embedding_type", "relative_key", "position_embedding_type is 'relative_key'"),
        ("auto_map", {"AutoModelForMaskedLM": "modeling.Own"}, "own_key is 1"),
    ],
)
@pytest.mark.parametrize("folder", ["bert"], indirect=True)
def test_config_that_does_not_fit_is_one_line(folder: Path, key: str, value: Any, expected: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    # Of a model that transformers wrote, what it does not know is a leftover.
    (folder / "config.json").write_text(json.dumps(config | {"own_key": 1, "position_embedding_type": "absolute"}))
    models.check(models.find(folder))
    models.load(folder)
    (folder / "config.json").write_text(json.dumps(config | {"own_key": 1, key: value}))
    with pytest.raises(ValueError, match=expected) as error:
        models.load(folder)
    assert "\n" not in str(error.value)


def test_it_keeps_no_keys(folder: Path) -> None:
    model = models.load(folder)
    with pytest.raises(ValueError, match="cache='prefix': ModelDenoiser has no KV cache"):
        generate(
            model,
            torch.tensor([[5, 6]]),
            scheduler=ConfidenceScheduler(),
            max_new_tokens=2,
            mask_token_id=39,
            cache="prefix",
        )
