"""`load`: what a checkpoint may look like, what it must not, and what each mistake is called."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from recorded_logits import sample_of
from safetensors.torch import load_file, save_file
from support import ROOT

from samplers import models
from samplers.models.registry import family_of

IDS = torch.tensor([[3, 1, 4, 1, 63, 9, 2, 6]])


def written(tmp_path: Path, name: str, *, config: dict[str, Any] | None = None, **options: Any) -> Path:
    return write_checkpoint(tmp_path / name, TINY_CONFIGS[name] | (config or {}), **options)


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


def test_device_is_honoured(tmp_path: Path) -> None:
    # The meta device takes everything and needs nothing.
    model = models.load(written(tmp_path, "sdar"), device="meta")
    assert model.device.type == "meta"
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


@pytest.mark.parametrize("device_map", ["auto", {"": "cpu"}, {"model": "cpu", "lm_head": "cpu"}])
def test_device_map_goes_through_accelerate(tmp_path: Path, device_map: Any) -> None:
    folder = written(tmp_path, "llada_moe")
    model, plain = models.load(folder, device_map=device_map), models.load(folder)
    with torch.no_grad():
        assert torch.equal(model(IDS).logits, plain(IDS).logits)


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


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("llada", "alibi", True),
        ("llada", "rope", False),
        ("llada", "block_type", "sequential"),
        ("llada", "layer_norm_type", "default"),
        ("llada", "activation_type", "swiglu"),
        ("llada", "attention_layer_norm", True),
        ("llada", "include_bias", True),
        ("llada", "bias_for_layer_norm", True),
        ("llada", "input_emb_norm", True),
        ("llada", "scale_logits", True),
        ("llada", "block_group_size", 2),
        ("dream", "use_mrope", True),
        ("dream", "use_sliding_window", True),
        ("dream", "hidden_act", "gelu"),
        ("fast_dllm", "layer_types", ["full_attention", "sliding_attention"]),
        ("llada2", "score_function", "softmax"),
        ("llada2", "norm_head", True),
        ("llada2", "use_bias", True),
        ("llada_moe", "clip_qkv", 8.0),
        ("llada_moe", "qk_layernorm", False),
        ("llada_moe", "norm_topk_prob", True),
        ("llada_moe", "shared_expert_intermediate_size", 16),
        ("llada_moe", "routed_scaling_factor", 2.5),
    ],
)
def test_config_that_the_blocks_cannot_express_is_refused(tmp_path: Path, name: str, key: str, value: Any) -> None:
    folder = written(tmp_path, name)
    (folder / "config.json").write_text(json.dumps(TINY_CONFIGS[name] | {key: value}))
    with pytest.raises(ValueError, match=f"config.json: {key} is .*which this family's blocks cannot express") as error:
        models.load(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("llada", "d_model"),
        ("llada", "weight_tying"),
        ("sdar", "head_dim"),
        ("dream", "rope_theta"),
        ("llada2", "n_group"),
    ],
)
def test_key_that_cannot_be_guessed_must_be_there(tmp_path: Path, name: str, key: str) -> None:
    folder = written(tmp_path, name)
    config = {other: value for other, value in TINY_CONFIGS[name].items() if other != key}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=f"{key} is missing"):
        models.load(folder)


@pytest.mark.parametrize("key", ["rope_scaling", "rope_parameters"])
def test_unknown_rope_type_is_refused_by_name(tmp_path: Path, key: str) -> None:
    folder = written(tmp_path, "sdar")
    (folder / "config.json").write_text(json.dumps(TINY_CONFIGS["sdar"] | {key: {"type": "spiral", "factor": 2.0}}))
    with pytest.raises(ValueError, match=f"{key} asks for rope type 'spiral'; the blocks know default, linear"):
        models.load(folder)


@pytest.mark.parametrize(
    ("name", "key", "value", "expected"),
    [
        ("llada", "d_model", "wide", "a whole number of at least 1"),
        ("llada", "n_heads", 0, "a whole number of at least 1"),
        ("llada", "n_heads", 5, "cannot be built from it"),
        ("llada", "multi_query_attention", "no", "true or false"),
        ("dream", "rms_norm_eps", "1e-6", "a positive number"),
        ("dream", "rope_theta", [], "a positive number"),
        ("dream", "rope_scaling", "yarn", "an object"),
        ("dream", "rope_scaling", {"type": "yarn"}, "cannot be built from it"),
        ("sdar", "rope_parameters", {"rope_theta": "large"}, "whose rope_theta is a positive number"),
        ("sdar", "block_size", "four", "a whole number of at least 1"),
        ("sdar", "num_experts", 8, "only the dense ones"),
        ("llada2", "n_group", 3, "a divisor of the 4 experts"),
        ("llada2", "topk_group", 3, "at most 2"),
        ("llada2", "num_experts_per_tok", 5, "at most 4"),
        ("llada2", "partial_rotary_factor", 1.5, "at most 1"),
        ("llada_moe", "moe_layer_freq", 1, "a list with an entry per layer"),
        ("dream", "mask_token_id", 64, "the vocabulary has 64 tokens"),
        ("dream", "mask_token_id", "<mask>", "it should be the number of a token"),
        ("dream", "torch_dtype", 16, "is not a floating dtype"),
        ("dream", "model_type", ["Dream"], "neither a masked language model"),
    ],
)
def test_value_of_another_kind_is_one_line(tmp_path: Path, name: str, key: str, value: Any, expected: str) -> None:
    folder = written(tmp_path, name)
    (folder / "config.json").write_text(json.dumps(TINY_CONFIGS[name] | {key: value}))
    with pytest.raises(ValueError, match=re.escape(expected)) as error:
        models.load(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("index", [{}, {"weight_map": {}}, {"weight_map": ["model.safetensors"]}])
def test_index_that_names_no_files_is_one_line(tmp_path: Path, index: dict[str, Any]) -> None:
    folder = written(tmp_path, "sdar")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"model\.safetensors\.index\.json has no weight_map"):
        models.load(folder)


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
    (folder / "config.json").write_text('{"model_type": "sdar_moe"}')
    with pytest.raises(ValueError, match="has model_type 'sdar_moe'"):
        models.check(models.find(folder))


def test_known_rope_type_changes_the_logits(tmp_path: Path) -> None:
    folder = written(tmp_path, "sdar")
    plain = models.load(folder)(IDS).logits
    (folder / "config.json").write_text(
        json.dumps(TINY_CONFIGS["sdar"] | {"rope_scaling": {"type": "linear", "factor": 4.0}})
    )
    scaled = models.load(folder)(IDS).logits
    assert not torch.allclose(plain, scaled)
    (folder / "config.json").write_text(
        json.dumps(
            TINY_CONFIGS["sdar"] | {"rope_theta": None, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}
        )
    )
    assert torch.equal(models.load(folder)(IDS).logits, plain)


def test_missing_and_left_over_tensors_are_listed(tmp_path: Path) -> None:
    gone = ("model.layers.0.self_attn.q_norm.weight", "model.norm.weight")
    folder = written(tmp_path, "sdar", skip=gone, extra={"model.layers.7.mlp.up_proj.weight": torch.ones(2)})
    with pytest.raises(ValueError, match="does not fit its config") as error:
        models.load(folder)
    assert f"tensors missing: {', '.join(gone)}" in str(error.value)
    assert "tensors left over: model.layers.7.mlp.up_proj.weight" in str(error.value)


def test_long_lists_are_cut(tmp_path: Path) -> None:
    folder = written(tmp_path, "sdar")
    save_file({"other": torch.ones(1)}, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"tensors missing: .* and 19 more; tensors left over: other"):
        models.load(folder)


def test_tensor_of_another_shape_is_named(tmp_path: Path) -> None:
    folder = written(tmp_path, "sdar")
    (folder / "config.json").write_text(json.dumps(TINY_CONFIGS["sdar"] | {"vocab_size": 65}))
    with pytest.raises(
        ValueError, match=r"of another shape: model.embed_tokens.weight \[64, 32\] instead of \[65, 32\]"
    ):
        models.load(folder)


def test_frequencies_that_old_checkpoints_carry_are_no_tensors_left_over(tmp_path: Path) -> None:
    models.load(written(tmp_path, "sdar", extra={"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(5)}))


@pytest.mark.parametrize("share", [0.0, 0.02, 0.7])
def test_shard_cut_off_in_the_middle_is_named(tmp_path: Path, share: float) -> None:
    folder = written(tmp_path, "llada", shards=2)
    shard = folder / "model-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[: int(shard.stat().st_size * share)])
    with pytest.raises(ValueError, match=r"model-00002-of-00002.safetensors \([\d,]+ bytes\) is cut off") as error:
        models.load(folder)
    assert "\n" not in str(error.value)


def test_missing_shard_is_named(tmp_path: Path) -> None:
    folder = written(tmp_path, "llada", shards=2)
    (folder / "model-00001-of-00002.safetensors").unlink()
    with pytest.raises(ValueError, match=r"has no model-00001-of-00002.safetensors"):
        models.load(folder)


def test_directories_that_hold_no_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the name of the model is empty"):
        models.load("")
    with pytest.raises(ValueError, match=r"has no config.json, so it holds no model"):
        models.load(tmp_path)
    with pytest.raises(ValueError, match="there is no directory"):
        models.load(tmp_path / "nowhere")
    folder = written(tmp_path, "llada")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"has no model.safetensors; only weights in safetensors are read"):
        models.load(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        models.load(folder)
    with pytest.raises(ValueError, match="is a file; a model is a directory"):
        models.load(folder / "config.json")


def test_stranger_is_told_what_would_run_its_code(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mystery", "auto_map": {"AutoModel": "modeling.Mystery"}}')
    with pytest.raises(ValueError, match=r"model_type 'mystery', which is neither .* trust_remote_code=True runs"):
        models.load(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float33"}, "dtype 'float33' is not a floating dtype of torch"),
        ({"dtype": "int64"}, "dtype 'int64' is not a floating dtype"),
        ({"device": "gpu"}, "device 'gpu' is not known to torch"),
        ({"device": "cpu", "device_map": "auto"}, "contradict each other"),
        ({"device_map": "balanced"}, "device_map is 'balanced'; it should be 'auto' or a dict"),
        ({"quantization_config": {"bits": 4}}, "quantization_config is a dict; it should be transformers'"),
    ],
)
def test_wrong_arguments_are_one_line(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.load(written(tmp_path, "sdar"), **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="torch sees no CUDA device here"):
        models.load(written(tmp_path, "sdar"), device="cuda")


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


def test_families_are_light_records() -> None:
    families = models.families()
    assert len({family.name for family in families}) == len(families) == 7
    for family in families:
        assert hash(family) == hash(family)
        for checkpoint in family.checkpoints:
            assert checkpoint.name.count("/") == 1
            assert checkpoint.memory_gb == 2 * checkpoint.parameters
            assert (checkpoint.licence is None) == (checkpoint.licence_source is None), "no licence without a source"
    # Every family that has something published says by which ids it is known.
    assert all(family.mask_token_id is not None for family in families if family.checkpoints)


def test_families_that_share_a_model_type_are_told_apart() -> None:
    from samplers.models.configuration import CheckpointConfig

    def name(values: dict[str, Any]) -> str | None:
        family = family_of(CheckpointConfig(values, "config.json"))
        return None if family is None else family.name

    assert name({"model_type": "llada", "architectures": ["LLaDAModelLM"]}) == "LLaDA"
    assert name({"model_type": "llada", "architectures": ["LLaDAMoEModelLM"]}) == "LLaDA-MoE"
    assert name({"model_type": "llada", "num_experts": 64}) == "LLaDA-MoE"
    assert name({"model_type": "llada"}) == "LLaDA"
    assert name({"model_type": "bert"}) is None


def test_auto_map_is_ignored(tmp_path: Path) -> None:
    shutil.copytree(sample_of("llada_a"), tmp_path / "model")
    assert "auto_map" in json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "modeling_llada.py").write_text("raise SystemExit('somebody ran me')")
    assert models.load(tmp_path / "model").vocab_size == 128


def test_listing_the_families_imports_nothing_heavy() -> None:
    code = "import sys; from samplers import models; print(len(models.families()), 'torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["7", "False"]
