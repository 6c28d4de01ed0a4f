"""A2D: what a token sees is in the checkpoint's name or in a key of its own, and never guessed."""

import json
import shutil
from pathlib import Path

import pytest
from random_checkpoint import written

from samplers import models


@pytest.mark.parametrize(
    ("folder", "attention", "block"),
    [("Tiny-diffusion-mdlm-v0.1", "full", None), ("Tiny-diffusion-bd3lm-v0.1", "block_causal", 32)],
)
@pytest.mark.parametrize("base", ["a2d_qwen3", "a2d_qwen2", "a2d_llama"])
def test_kind_is_in_the_name(tmp_path: Path, base: str, folder: str, attention: str, block: int | None) -> None:
    shutil.move(written(tmp_path, base), tmp_path / folder)
    config = json.loads((tmp_path / folder / "config.json").read_text())
    silent = {key: value for key, value in config.items() if key not in ("diffusion", "block_size")}
    (tmp_path / folder / "config.json").write_text(json.dumps(silent))
    model = models.load(tmp_path / folder)
    assert (model.attention, model.block_length) == (attention, block)
    # The config's own word goes before the name.
    (tmp_path / folder / "config.json").write_text(json.dumps(silent | {"diffusion": "mdlm"}))
    assert models.load(tmp_path / folder).attention == "full"


def test_copy_under_another_name_has_to_say_it(tmp_path: Path) -> None:
    folder = written(tmp_path / "all-mdlm-models", "a2d_qwen3")
    config = json.loads((folder / "config.json").read_text()) | {"diffusion": None}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r'nothing says whether this A2D model .* add "diffusion"') as error:
        models.load(folder)
    assert "\n" not in str(error.value)
