"""Measures loading and decoding on one GPU: `python tests/speed/model_speed_gpu.py [--directory DIR]`.

Two checkpoints with random weights in full size are written to DIR, loaded as published ones are, and removed again:
LLaDA-8B (full attention) and SDAR-8B (block-causal, with a KV cache). Printed are load time, peak memory of
host and device, and tokens per second at batch 1, 4 and 16 (prompt 128, 64 new tokens, confidence), eager and compiled.
The baseline, from the same run, is the bare network: the same calls that decoding made, one after the other, without
scheduler and loop. `ratio` is decoding over baseline; the aim is 1.05. `--tiny --device cpu` shows that all of it runs.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import functools
import gc
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

import torch
import transformers
from random_checkpoint import TINY_CONFIGS, write_checkpoint

from samplers import ConfidenceScheduler, generate, models

PROMPT, NEW = 128, 64
LLADA = TINY_CONFIGS["llada"] | {
    "d_model": 4096,
    "n_heads": 32,
    "n_kv_heads": 32,
    "n_layers": 32,
    "mlp_hidden_size": 12288,
    "embedding_size": 126464,
    "vocab_size": 126464,
    "mask_token_id": 126336,
    "eos_token_id": 126081,
    "pad_token_id": 126081,
}
SDAR = TINY_CONFIGS["sdar"] | {
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "mask_token_id": 151669,
    "eos_token_id": 151643,
    "pad_token_id": 151643,
    "rope_theta": 1e6,
}


class Clock:
    """Wall-clock time of work on a device, the waiting for it included."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def wait(self) -> None:
        """Until the device has nothing left to do."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, call: Callable[[], Any]) -> float:
        """Of one call."""
        self.wait()
        start = time.perf_counter()
        call()
        self.wait()
        return time.perf_counter() - start

    def best(self, call: Callable[[], Any], repeats: int) -> float:
        """The fastest of several."""
        return min(self.seconds(call) for _ in range(repeats))


def host_memory(key: str) -> int:
    """Bytes, from /proc: VmRSS is what is resident now, VmHWM its peak; 0 where there is no /proc."""
    path = Path("/proc/self/status")
    if not path.exists():
        return 0
    return 1024 * int(next(line.split()[1] for line in path.read_text().splitlines() if line.startswith(f"{key}:")))


def reset_host_peak() -> None:
    """Let VmHWM start afresh, where the system allows it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        print("  (the peak of host memory cannot be reset here, and counts what came before)")


def load(folder: Path, clock: Clock) -> Any:
    """The model, with a line about what loading took."""
    shard = max(path.stat().st_size for path in folder.glob("*.safetensors"))
    gc.collect()
    reset_host_peak()
    before = host_memory("VmRSS")
    if clock.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(clock.device)
    loaded: list[Any] = []
    seconds = clock.seconds(lambda: loaded.append(models.load(folder, device=clock.device)))
    model = loaded[0]
    size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    device = torch.cuda.max_memory_allocated(clock.device) if clock.device.type == "cuda" else 0
    print(
        f"  load: {seconds:.1f} s, {size / 1e9 / seconds:.2f} GB/s for {size / 1e9:.2f} GB; "
        f"host peak +{(host_memory('VmHWM') - before) / 1e9:.2f} GB (largest shard {shard / 1e9:.2f} GB); "
        f"device peak {device / 1e9:.2f} GB",
        flush=True,
    )
    return model


def record_calls(model: Any, decode: Callable[[], Any]) -> list[Callable[[], Any]]:
    """The network calls of one decoding, to be made again without anything around them."""
    calls: list[Callable[[], Any]] = []
    forward = model.forward

    @functools.wraps(forward)
    def noting(*arguments: Any, **options: Any) -> Any:
        cache = options.get("past_key_values")
        # A kept cache is told beforehand where its keys go.
        place = None if cache is None else (cache._start, cache._visible)

        def again() -> None:
            if cache is not None:
                cache.expose(*place)
            forward(*arguments, **options)

        calls.append(again)
        return forward(*arguments, **options)

    model.forward = noting
    try:
        decode()
    finally:
        del model.forward
    return calls


@torch.no_grad()
def measure(model: Any, label: str, clock: Clock, batches: list[int], tokens_per_step: list[int], repeats: int) -> None:
    """One line per batch size and number of tokens per step."""
    for k in tokens_per_step:
        # One token per step takes long, and shows the same at every batch size.
        for batch in batches if k > 1 else batches[:1]:
            generator = torch.Generator().manual_seed(0)
            prompts = torch.randint(0, min(model.vocab_size, 60_000) - 4, (batch, PROMPT), generator=generator)
            prompts = prompts.to(clock.device)
            scheduler = ConfidenceScheduler(k=k)
            block = None if model.attention == "block_causal" else 32

            def decode(prompts: Any = prompts, scheduler: Any = scheduler, block: int | None = block) -> Any:
                return generate(model, prompts, scheduler=scheduler, max_new_tokens=NEW, block_length=block)

            warm = clock.seconds(decode)
            calls = record_calls(model, decode)

            def bare(calls: list[Callable[[], Any]] = calls) -> None:
                for call in calls:
                    call()
                    clock.wait()

            decoding, baseline = clock.best(decode, repeats), clock.best(bare, repeats)
            print(
                f"  {label:26} k={k}  batch {batch:2}: {batch * NEW / decoding:9.1f} tokens/s, {len(calls):2} passes, "
                f"{1e3 * decoding / len(calls):7.2f} ms each, bare {1e3 * baseline / len(calls):7.2f} ms, "
                f"ratio {decoding / baseline:.3f}   (first run {warm:.1f} s)",
                flush=True,
            )
            del calls


def main() -> None:
    """Write, load, measure, remove; twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--directory", type=Path, help="where the checkpoints are written (17 GB)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="tiny models instead of large ones")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    clock = Clock(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU"
    print(f"{name}; torch {torch.__version__}, transformers {transformers.__version__}", flush=True)
    folder = Path(tempfile.mkdtemp(dir=arguments.directory))
    try:
        for label, large, tiny, steps in (
            ("LLaDA-8B", LLADA, TINY_CONFIGS["llada"], [4]),
            ("SDAR-8B", SDAR, TINY_CONFIGS["sdar"], [4, 1]),
        ):
            config = tiny if arguments.tiny else large
            began = time.perf_counter()
            std = 0.2 if arguments.tiny else 0.02
            write_checkpoint(folder / label, config, shards=8, dtype=torch.bfloat16, device=str(device), std=std)
            written = time.perf_counter() - began
            if device.type == "cuda":
                torch.cuda.empty_cache()
            print(f"{label} shape, random weights, bfloat16 (written in {written:.0f} s)", flush=True)
            model = load(folder / label, clock)
            shutil.rmtree(folder / label)
            measure(model, "eager", clock, arguments.batches, steps, arguments.repeats)
            if not arguments.no_compile:
                model.compile()
                parts = "layers" if model.attention == "full" else "MLPs and norms"
                measure(model, f"compiled ({parts})", clock, arguments.batches, steps[:1], arguments.repeats)
            del model
            gc.collect()
            torch.compiler.reset()
            if device.type == "cuda":
                torch.cuda.empty_cache()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
