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
