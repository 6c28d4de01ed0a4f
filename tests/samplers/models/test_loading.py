"""`load`: the model is the checkpoint, in the dtype that was asked for, and nobody's code runs unless told to."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from random_checkpoint import IDS, TINY_CONFIGS, written
from recorded_logits import sample_of
from safetensors.torch import load_file, save_file

from samplers import models


@pytest.mark.parametrize("name", TINY_CONFIGS)
def test_sharded_and_unsharded_checkpoints_are_one_model(tmp_path: Path, name: str) -> None:
    whole = models.load(written(tmp_path / "whole", name))
    parts = models.load(written(tmp_path / "parts", name, shards=3))
    with torch.no_grad():
        assert torch.equal(whole(IDS).logits, parts(IDS).logits)
    assert len(list((tmp_path / "parts" / name).glob("*.safetensors"))) == 3


@pytest.mark.parametrize("name", TINY_CONFIGS)
def test_every_parameter_is_the_checkpoint_s_and_finite(tmp_path: Path, name: str) -> None:
    model = models.load(written(tmp_path, name))
    assert not model.training
    assert not any(parameter.is_meta or parameter.requires_grad for parameter in model.parameters())
    assert not any(buffer.is_meta for buffer in model.buffers())
    total = sum(tensor.numel() for tensor in load_file(tmp_path / name / "model.safetensors").values())
    own = sum(parameter.numel() for parameter in model.parameters())
    own += sum(buffer.numel() for name, buffer in model.named_buffers() if name in model.state_dict())
    assert own == total
    assert model(IDS).logits.isfinite().all()


@pytest.mark.parametrize("name", ["sdar", "dream", "parallelbench", "fast_dllm", "llada"])
def test_tied_head_is_the_embedding(tmp_path: Path, name: str) -> None:
    key = "weight_tying" if name == "llada" else "tie_word_embeddings"
    model = models.load(written(tmp_path, name, config={key: True}))
    assert model.lm_head.weight is model.model.embed_tokens.weight
    untied = models.load(written(tmp_path / "untied", name, config={key: False}))
    assert untied.lm_head.weight is not untied.model.embed_tokens.weight


def test_tied_checkpoint_may_carry_its_head_all_the_same(tmp_path: Path) -> None:
    folder = written(
        tmp_path, "fast_dllm", config={"tie_word_embeddings": True}, extra={"lm_head.weight": torch.ones(64, 32)}
    )
    model = models.load(folder)
    assert model.lm_head.weight is model.model.embed_tokens.weight


@pytest.mark.parametrize("tied", [True, False])
def test_silent_config_leaves_tying_to_the_file(tmp_path: Path, tied: bool) -> None:
    folder = written(tmp_path, "sdar", config={"tie_word_embeddings": tied})
    config = json.loads((folder / "config.json").read_text())
    del config["tie_word_embeddings"]
    (folder / "config.json").write_text(json.dumps(config))
    model = models.load(folder)
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("bfloat16", torch.bfloat16),
        ("bf16", torch.bfloat16),
        ("float16", torch.float16),
        (torch.float64, torch.float64),
        (None, torch.float32),
        ("auto", torch.float32),
    ],
)
def test_dtype_is_honoured(tmp_path: Path, given: Any, expected: torch.dtype) -> None:
    model = models.load(written(tmp_path, "llada2"), dtype=given)
    assert model.dtype == expected
    assert all(parameter.dtype == expected for parameter in model.parameters())
    # What selects experts and turns positions is too fine for half precision.
    assert model.model.layers[1].mlp.gate.e_score_correction_bias.dtype == torch.float32
    assert model.model.rotary_emb.inv_freq.dtype == torch.float32
    assert model(IDS).logits.dtype == expected


def test_without_a_dtype_the_config_s_then_the_file_s_holds(tmp_path: Path) -> None:
    assert models.load(written(tmp_path, "sdar", config={"torch_dtype": "bfloat16"})).dtype == torch.bfloat16
    assert models.load(written(tmp_path / "half", "sdar", dtype=torch.float16)).dtype == torch.float16


def test_check_refuses_beforehand_what_loading_would_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samplers.models.loading.stream", lambda *arguments, **options: pytest.fail("weights are read"))
    folder = written(tmp_path, "sdar")
    models.check(models.find(folder))
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-4])
    with pytest.raises(ValueError, match="is cut off"):
        models.check(models.find(folder))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"has no model\.safetensors"):
        models.check(models.find(folder))
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "config.json").write_text(json.dumps(TINY_CONFIGS["sdar"] | {"num_hidden_layers": 3}))
    with pytest.raises(ValueError, match="tensors missing"):
        models.check(models.find(folder))
    (folder / "config.json").write_text('{"model_type": "sdar_next"}')
    with pytest.raises(ValueError, match="has model_type 'sdar_next'"):
        models.check(models.find(folder))


def test_stranger_is_told_what_would_run_its_code(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mystery", "auto_map": {"AutoModel": "modeling.Mystery"}}')
    with pytest.raises(ValueError, match=r"model_type 'mystery', which is neither .* trust_remote_code=True runs"):
        models.load(tmp_path)


def test_trust_remote_code_runs_the_repository_s_files_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "modeling_mystery.py").write_text(
        "import torch\n"
        "from transformers import PretrainedConfig, PreTrainedModel\n"
        "from transformers.modeling_outputs import MaskedLMOutput\n"
        "class MysteryConfig(PretrainedConfig):\n"
        "    model_type = 'mystery'\n"
        "class Mystery(PreTrainedModel):\n"
        "    config_class = MysteryConfig\n"
        "    def __init__(self, config):\n"
        "        super().__init__(config)\n"
        "        self.head = torch.nn.Embedding(8, 8)\n"
        "        self.post_init()\n"
        "    def forward(self, input_ids):\n"
        "        return MaskedLMOutput(logits=self.head(input_ids))\n"
    )
    config = {"model_type": "mystery", "vocab_size": 8, "mask_token_id": 7, "architectures": ["Mystery"]}
    config["auto_map"] = {"AutoConfig": "modeling_mystery.MysteryConfig", "AutoModel": "modeling_mystery.Mystery"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file({"head.weight": torch.eye(8)}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model = models.load(tmp_path, trust_remote_code=True)
    assert "running the Python files of this repository" in caplog.text
    assert model.mask_token_id == 7
    assert model(torch.tensor([[1, 2]])).logits.argmax(-1).tolist() == [[1, 2]]


def test_auto_map_is_ignored(tmp_path: Path) -> None:
    shutil.copytree(sample_of("llada_a"), tmp_path / "model")
    assert "auto_map" in json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "modeling_llada.py").write_text("raise SystemExit('somebody ran me')")
    assert models.load(tmp_path / "model").vocab_size == 128
