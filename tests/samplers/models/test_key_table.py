"""Tensors of a file and of the network: one that is missing, left over or of another shape is named."""

import json
from pathlib import Path

import pytest
import torch
from random_checkpoint import TINY_CONFIGS, written
from safetensors.torch import save_file

from samplers import models


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
