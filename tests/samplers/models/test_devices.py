"""Where a model is put: the device that was asked for, or one line that says what is wrong with it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from random_checkpoint import IDS, written

from samplers import models


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float33"}, "dtype 'float33' is not a floating dtype of torch"),
        ({"dtype": "int64"}, "dtype 'int64' is not a floating dtype"),
        ({"device": "gpu"}, "device 'gpu' is not known to torch"),
        ({"device": "cpu", "device_map": "auto"}, "contradict each other"),
        ({"device_map": "balanced"}, "device_map is 'balanced'; it should be 'auto' or a dict"),
        ({"device_map": {"": "disk"}}, "device 'disk' is not known to torch"),
        ({"device_map": {"": torch.cuda.device_count()}}, "device 'cuda:[0-9]+': torch sees"),
        ({"device_map": {"model": "cpu"}}, "device_map has no device for lm_head.weight; '' stands for"),
        ({"device_map": {"lm_head": "cpu"}}, "no device for model.embed_tokens.weight and [0-9]+ others"),
        ({"device_map": {}}, "no device for model.embed_tokens.weight and [0-9]+ others"),
        ({"quantization_config": {"bits": 4}}, "quantization_config is a dict; it should be transformers'"),
    ],
)
def test_wrong_arguments_are_one_line(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        models.load(written(tmp_path, "sdar"), **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("options", [{"device": "cuda:2"}, {"device_map": {"": 2}}])
def test_a_gpu_beyond_the_last_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    folder = written(tmp_path, "sdar")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match="device 'cuda:2': torch sees 2 GPUs here, counted from 0"):
        models.load(folder, **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="torch sees no CUDA device here"):
        models.load(written(tmp_path, "sdar"), device="cuda")
