"""Weight files that were cut off are named."""

from pathlib import Path

import pytest
from random_checkpoint import written

from samplers import models


@pytest.mark.parametrize("share", [0.0, 0.02, 0.7])
def test_shard_cut_off_in_the_middle_is_named(tmp_path: Path, share: float) -> None:
    folder = written(tmp_path, "llada", shards=2)
    shard = folder / "model-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[: int(shard.stat().st_size * share)])
    with pytest.raises(ValueError, match=r"model-00002-of-00002.safetensors \([\d,]+ bytes\) is cut off") as error:
        models.load(folder)
    assert "\n" not in str(error.value)
