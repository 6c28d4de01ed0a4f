"""Loading needs the memory of the model and of one shard, however large the checkpoint is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from support import ROOT

MEASURE = """
import json, sys
from pathlib import Path
from samplers import models

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key + ":")).split()[1])

models.load(sys.argv[1])                       # imports, and whatever is made once
Path("/proc/self/clear_refs").write_text("5")  # the peak starts afresh
before = status("VmRSS")
model = models.load(sys.argv[2], dtype="bfloat16")
peak = status("VmHWM") - before
print(json.dumps({"peak": peak, "model": sum(p.numel() * p.element_size() for p in model.parameters())}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_peak_memory_is_the_model_and_one_shard(tmp_path: Path) -> None:
    wide = {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 6, "head_dim": 64}
    wide |= {"num_attention_heads": 16, "num_key_value_heads": 8, "vocab_size": 4096}
    small = write_checkpoint(tmp_path / "small", TINY_CONFIGS["sdar"])
    large = write_checkpoint(tmp_path / "large", TINY_CONFIGS["sdar"] | wide, shards=10, dtype=torch.float32)
    files = [path.stat().st_size for path in large.glob("*.safetensors")]
    assert sum(files) > 300e6
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, str(small), str(large)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    measured = json.loads(result.stdout)
    assert measured["model"] * 2 == pytest.approx(sum(files), rel=0.01)
    # Holding all files, or a second copy of the model, would cost hundreds of megabytes more.
    assert measured["peak"] < measured["model"] + 1.5 * max(files)
