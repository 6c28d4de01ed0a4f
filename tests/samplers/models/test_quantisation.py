"""Linear layers quantised while they are read; each test needs the package it names."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from torch import Tensor, nn

from samplers import models

WIDER = {"hidden_size": 128, "intermediate_size": 256, "head_dim": 32, "vocab_size": 256}
IDS = torch.arange(3, 19)[None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("wider") / "sdar", TINY_CONFIGS["sdar"] | WIDER, std=0.05)


def likeness(folder: Path, config: Any) -> tuple[Any, float]:
    """The quantised model, and the correlation of its logits with those of the unquantised one."""
    quantised = models.load(folder, dtype="bfloat16", quantization_config=config)
    with torch.no_grad():
        rows: list[Tensor] = [
            model(IDS).logits.float().flatten() for model in (models.load(folder, dtype="bfloat16"), quantised)
        ]
    return quantised, float(torch.corrcoef(torch.stack(rows))[0, 1])


@pytest.mark.parametrize(("bits", "least"), [(4, 0.97), (8, 0.998)])
def test_bitsandbytes(folder: Path, bits: int, least: float) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    config = transformers.BitsAndBytesConfig(
        load_in_4bit=bits == 4,
        load_in_8bit=bits == 8,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    model, found = likeness(folder, config)
    weight = model.model.layers[1].mlp.up_proj.weight
    assert isinstance(weight, bitsandbytes.nn.Params4bit if bits == 4 else bitsandbytes.nn.Int8Params)
    assert weight.element_size() * weight.numel() == 128 * 256 * bits // 8
    assert type(model.lm_head) is nn.Linear
    assert found > least


def test_torchao(folder: Path) -> None:
    quantization = pytest.importorskip("torchao.quantization")
    config = transformers.TorchAoConfig(quant_type=quantization.Int8WeightOnlyConfig())
    model, found = likeness(folder, config)
    assert type(model.model.layers[0].self_attn.q_proj.weight) is not nn.Parameter
    assert type(model.lm_head.weight) is nn.Parameter
    assert found > 0.998


@pytest.mark.parametrize("package", ["bitsandbytes", "torchao"])
def test_package_that_is_not_there_is_named(folder: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules makes the import fail, whether the package is installed or not.
    monkeypatch.setitem(__import__("sys").modules, package, None)
    monkeypatch.setitem(__import__("sys").modules, f"{package}.quantization", None)
    method = {"bitsandbytes": "bitsandbytes_4bit"}.get(package, package)
    config = type("Config", (), {"quant_method": method})()
    with pytest.raises(ValueError, match=rf'needs {package} .*pip install "{package}"'):
        models.load(folder, quantization_config=config)
