"""Where `device_map` puts the parts of a model; what it takes to run there is shown on two GPUs, in `tests/gpu`."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from random_checkpoint import TINY_CONFIGS, write_checkpoint

from samplers import models
from samplers.models.network import DenoiserOutput

ROOMY: dict[Any, int] = {0: 1 << 30, 1: 1 << 30, "cpu": 1 << 30}


class Streaming(Exception):
    """Everything is decided, and the first parameter would be read."""


def with_four_layers(family: str) -> dict[str, Any]:
    """The tiny config of a family, which names the number of layers in its own way."""
    config = TINY_CONFIGS[family]
    return {**config, "n_layers" if "n_layers" in config else "num_hidden_layers": 4}


def devices(
    folder: Path, family: str, room: dict[Any, int], monkeypatch: pytest.MonkeyPatch, dtype: str | None = None
) -> list[str]:
    """Where the parts of a tiny model with four layers go, on devices of so much room that need not be here."""
    write_checkpoint(folder, with_four_layers(family))
    found: list[str] = []

    def noted(files: Any, tensors: Any, model: Any, *, device_of: Any, **options: Any) -> None:
        for number, layer in enumerate(model.model.layers):
            places = {device_of(f"model.layers.{number}.{name}") for name, _ in layer.named_parameters()}
            assert len(places) == 1, "a layer adds what went into it to what came out of it"
        names = ["model.embed_tokens.weight", *(f"model.layers.{layer}.mlp.up_proj.weight" for layer in range(4))]
        found.extend(str(device_of(name)) for name in [*names, "model.norm.weight", "lm_head.weight"])
        raise Streaming

    monkeypatch.setattr("samplers.models.loading.stream", noted)
    monkeypatch.setattr("accelerate.utils.modeling.get_max_memory", lambda given=None: dict(given or room))
    with pytest.raises(Streaming):
        models.load(folder, device_map="auto", dtype=dtype)
    return found


@pytest.mark.parametrize("family", ["llada", "dream", "sdar"])
def test_auto_shares_a_model_among_gpus_that_could_each_hold_it(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = devices(tmp_path, family, ROOMY, monkeypatch)
    assert set(found) == {"cuda:0", "cuda:1"}
    # Layers follow one another, so that activations change the device once.
    assert found == sorted(found)
    assert 2 <= found.count("cuda:0") <= 5


def test_a_tied_head_goes_where_the_embedding_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = devices(tmp_path, "parallelbench", ROOMY, monkeypatch)
    assert found[0] == found[-1] == "cuda:0"
    assert "cuda:1" in found


def test_what_fits_nowhere_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"does not fit into the memory of all devices .* in torch\.float32"):
        devices(tmp_path, "llada", {0: 1 << 10, 1: 1 << 10, "cpu": 1 << 10}, monkeypatch)


@pytest.mark.parametrize(("dtype", "size"), [("bfloat16", 2), ("float32", 4), ("float64", 8)])
def test_room_is_counted_in_the_dtype_that_is_asked_for(
    dtype: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_checkpoint(tmp_path, with_four_layers("llada"))
    weights = sum(parameter.numel() for parameter in models.load(folder).parameters())
    assert set(devices(tmp_path, "llada", {"cpu": weights * size * 11 // 10}, monkeypatch, dtype)) == {"cpu"}
    with pytest.raises(ValueError, match=f"does not fit into the memory of all devices .* in torch.{dtype}"):
        devices(tmp_path, "llada", {"cpu": weights * size * 8 // 10}, monkeypatch, dtype)


def test_accelerate_brings_the_logits_back_to_the_token_ids() -> None:
    from accelerate.utils import send_to_device

    cache = object()
    moved = send_to_device(DenoiserOutput(torch.zeros(1, 2, 3), cache), torch.device("meta"))
    assert moved.logits.device.type == "meta"
    assert moved.past_key_values is cache


def test_several_devices_without_accelerate_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(tmp_path, TINY_CONFIGS["dream"])
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ValueError, match=r"device_map='auto' needs accelerate .*pip install"):
        models.load(tmp_path, device_map="auto")
