"""Weights in 8 bits: recorded, refused in one line where they cannot be had, close to those they stand for."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import questions, save_reference

from benchmark.models import HubModel, ModelOptions
from benchmark.models.quantization import RECIPES, check_quantization, quantization_config


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_reference(tmp_path_factory.mktemp("reference")))


def test_int8_weights_are_recorded_and_close(reference: str) -> None:
    pytest.importorskip("torchao")
    rows = questions("waiting_line_copy", 1)
    logits: list[Any] = []
    for quantization in (None, "int8"):
        model = HubModel(reference, ModelOptions(quantization=quantization))
        assert model.record().get("quantization") == quantization
        network = model.for_task(rows, 8).model
        weight = network.model.layers[0].self_attn.q_proj.weight
        assert (type(weight) is torch.nn.Parameter) == (quantization is None)
        with torch.no_grad():
            logits.append(network(torch.arange(3, 19)[None]).logits.flatten())
    assert not torch.equal(*logits)
    assert float(torch.corrcoef(torch.stack(logits))[0, 1]) > 0.99


def test_every_recipe_is_one_of_torchao() -> None:
    pytest.importorskip("torchao")
    for name, (recipe, _) in RECIPES.items():
        assert type(quantization_config(name).quant_type).__name__ == recipe


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(ValueError, match=r"'int3'.*int8"):
        check_quantization("int3", "cpu")


def test_fp8_on_a_cpu_is_one_line(reference: str) -> None:
    pytest.importorskip("torchao")
    with pytest.raises(ValueError, match=r"fp8 takes a GPU of compute capability 8\.9.*int8") as caught:
        HubModel(reference, ModelOptions(device="cpu", quantization="fp8"))
    assert "\n" not in str(caught.value)


def test_an_older_gpu_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torchao")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    with pytest.raises(ValueError, match=r"this one has 8\.0"):
        check_quantization("fp8", "cuda")


def test_torchao_that_is_not_there_is_named(reference: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torchao", None)
    with pytest.raises(ValueError, match=r"parallelbench\[quantisation\]"):
        HubModel(reference, ModelOptions(quantization="int8"))
