"""What the tests on GPUs share: checkpoints whose every token has a text, memory that is taken away, facts to print.

With `PARALLELBENCH_REHEARSE_GPU=1` the same tests run on the CPU with tiny models, to show that nothing but the GPU is
missing. Memory that runs out is acted then.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import support
import torch
from click.testing import Result
from random_checkpoint import TINY_CONFIGS, write_checkpoint
from support import ROOT, timeless
from tiny_models import save_tokenizer

from samplers.models.network import DiffusionLanguageModel

REHEARSED = os.environ.get("PARALLELBENCH_REHEARSE_GPU") == "1"
DEVICE = "cpu" if REHEARSED else "cuda"
#: Marks of every test on a GPU.
on_a_gpu = [pytest.mark.gpu, pytest.mark.skipif(not (REHEARSED or torch.cuda.is_available()), reason="there is no GPU")]
#: Bytes; a smaller GPU has no room for the full shape, its activations and what else is there.
LARGE = 30 << 30

# As `tiny_models.save_tokenizer` numbers them.
_IDS = {"pad_token_id": 0, "eos_token_id": 1, "mask_token_id": 2}
_CONTEXT = {"max_sequence_length": 4096}
#: Some megabytes, and logits of which a batch fills gigabytes.
SMALL = TINY_CONFIGS["llada"] | _IDS | _CONTEXT
SMALL |= {"d_model": 256, "n_heads": 4, "n_kv_heads": 4, "n_layers": 4, "mlp_hidden_size": 512}
SMALL |= dict.fromkeys(("embedding_size", "vocab_size"), 32_768)
#: LLaDA-8B.
FULL_SHAPE = TINY_CONFIGS["llada"] | _IDS | _CONTEXT
FULL_SHAPE |= {"d_model": 4096, "n_heads": 32, "n_kv_heads": 32, "n_layers": 32, "mlp_hidden_size": 12288}
FULL_SHAPE |= dict.fromkeys(("embedding_size", "vocab_size"), 126_464)
if REHEARSED:
    SMALL |= {"d_model": 32, "n_layers": 2, "mlp_hidden_size": 64}
    SMALL |= dict.fromkeys(("embedding_size", "vocab_size"), 2048)
    FULL_SHAPE = SMALL

#: What was measured, printed at the end of the session.
FACTS: list[str] = []


def note(fact: str) -> None:
    """Keep a line for the end, and print it for whoever watches."""
    FACTS.append(fact)
    print(fact, flush=True)


def save_small(directory: Path, dtype: torch.dtype = torch.float32) -> Path:
    """A model with random weights that a batch of rows outweighs by far."""
    save_tokenizer(directory, vocabulary=1500, size=SMALL["vocab_size"])
    return write_checkpoint(directory, SMALL, dtype=dtype, device=DEVICE, std=0.1)


def save_large(directory: Path) -> Path:
    """LLaDA's full shape in bfloat16, 16 GB, random weights."""
    save_tokenizer(directory, vocabulary=1500, size=FULL_SHAPE["vocab_size"])
    began = time.monotonic()
    write_checkpoint(directory, FULL_SHAPE, shards=8, dtype=torch.bfloat16, device=DEVICE, std=0.02)
    empty_caches()
    note(f"checkpoint: {weight_bytes(directory) / 1e9:.2f} GB, written in {time.monotonic() - began:.1f} s")
    return directory


def weight_bytes(directory: Path) -> int:
    """Of all weight files."""
    return sum(path.stat().st_size for path in directory.glob("*.safetensors"))


def empty_caches() -> None:
    """Give unused memory of the GPUs back."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


# -- running -------------------------------------------------------------------------------------------------------


def call(*arguments: str) -> Result:
    """The command line in this process, which leaves no memory taken."""
    result = support.call(*arguments)
    empty_caches()
    return result


def command(*arguments: str) -> list[str]:
    """The command line as a process of its own; it need not be installed."""
    return [sys.executable, "-c", "from benchmark.cli import main; main()", *arguments]


def environment(directory: Path) -> dict[str, str]:
    """Of such a process: it finds this project, and leaves its temporary files in `directory`."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "TMPDIR": str(directory)}


def samples(directory: Path) -> dict[str, bytes]:
    """The samples on disk, by their path, without the seconds that they took."""
    return {str(path.relative_to(directory)): timeless(path) for path in directory.glob("samples/*/*/*.jsonl")}


def compared(one: Path, other: Path) -> tuple[float, str]:
    """In how many answers two runs of the same settings agree, as a share, and in words with the numbers of passes."""
    rows = []
    for name, content in samples(one).items():
        theirs = (other / name).read_bytes().splitlines()
        rows += [(json.loads(a), json.loads(b)) for a, b in zip(content.splitlines(), theirs, strict=True)]
    answers = sum(a["prediction"] == b["prediction"] for a, b in rows)
    passes = sum(a["num_forward_passes"] == b["num_forward_passes"] for a, b in rows)
    words = f"{answers} of {len(rows)} answers and {passes} of {len(rows)} numbers of passes are the same"
    return answers / len(rows), words


# -- memory --------------------------------------------------------------------------------------------------------


@contextmanager
def only_left(megabytes: int, monkeypatch: pytest.MonkeyPatch, *, rows_that_fit: int = 5) -> Iterator[None]:
    """All memory of the GPU but so much is taken, by this process; rehearsed, more than some rows do not fit."""
    empty_caches()
    if REHEARSED:
        with _acted(monkeypatch, rows_that_fit):
            yield
        return
    free, _ = torch.cuda.mem_get_info()
    block = torch.empty(max(free - (megabytes << 20), 1), dtype=torch.uint8, device=DEVICE)
    try:
        yield
    finally:
        del block
        empty_caches()


_HOLDER = """
import sys, torch
torch.zeros(1, device="cuda")
block = torch.empty(torch.cuda.mem_get_info()[0] - int(sys.argv[1]), dtype=torch.uint8, device="cuda")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process_leaves(size: int, monkeypatch: pytest.MonkeyPatch, *, rows_that_fit: int = 5) -> Iterator[None]:
    """As `only_left`, in bytes and with the memory taken by another process."""
    empty_caches()
    if REHEARSED:
        with _acted(monkeypatch, rows_that_fit):
            yield
        return
    arguments = [sys.executable, "-c", _HOLDER, str(size)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield
        finally:
            holder.kill()


@contextmanager
def _acted(monkeypatch: pytest.MonkeyPatch, rows_that_fit: int) -> Iterator[None]:
    forward = DiffusionLanguageModel.forward

    def crowded(self: Any, input_ids: torch.Tensor, *given: Any, **options: Any) -> Any:
        if len(input_ids) > rows_that_fit:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(self, input_ids, *given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(DiffusionLanguageModel, "forward", crowded)
        yield


class MemoryWatch:
    """The most memory that all processes together took of each GPU while the context lasts, in gigabytes."""

    def __enter__(self) -> MemoryWatch:
        self.most = [0.0] * torch.cuda.device_count()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *unused: Any) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            for gpu in range(len(self.most)):
                free, total = torch.cuda.mem_get_info(gpu)
                self.most[gpu] = max(self.most[gpu], (total - free) / 1e9)

    def __str__(self) -> str:
        return " + ".join(f"{most:.1f}" for most in self.most) + " GB"
