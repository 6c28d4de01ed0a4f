"""DiffusionGemma by transformers' own class: what does not fit is refused in one line, as of any other family."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_gemma import VOCABULARY, save_gemma

from samplers import models


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path: Path = save_gemma(tmp_path)
    return path


def test_mask_token_is_no_token(folder: Path) -> None:
    model, tokenizer = models.load(folder), models.load_tokenizer(folder)
    assert model.mask_token_id == VOCABULARY
    assert model.name_or_path == str(folder)
    assert len(tokenizer) <= VOCABULARY
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("dtype", ["bfloat16", torch.float16])
def test_dtype_is_honoured(folder: Path, dtype: str | torch.dtype) -> None:
    assert str(models.load(folder, dtype=dtype).dtype).endswith(str(dtype).rpartition(".")[2])


def test_missing_tensors_are_listed_by_name(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    gone = next(name for name in tensors if "q_proj" in name)
    del tensors[gone]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"does not fit its config; tensors missing: .*q_proj") as error:
        models.load(folder)
    assert "\n" not in str(error.value)


def test_config_that_makes_no_model_is_one_line(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["num_attention_heads"] = "many"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="the model cannot be built from it") as error:
        models.load(folder)
    assert "\n" not in str(error.value)


def test_weights_that_are_cut_off_are_found_beforehand(folder: Path) -> None:
    models.check(models.find(folder))
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-4])
    with pytest.raises(ValueError, match="is cut off"):
        models.check(models.find(folder))


def test_transformers_without_the_class_says_which_is_needed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    monkeypatch.setattr(transformers, "DiffusionGemmaForBlockDiffusion", None)
    with pytest.raises(ValueError, match="DiffusionGemma needs transformers' DiffusionGemmaForBlockDiffusion"):
        models.load(folder)
