"""Times one eager pass of LLaDA-8B at batch 1, 2 and 4: `python tests/speed/pass_time_gpu.py` (under a minute).

Random weights in bfloat16 in the published shape, prompt 150 and 32 new tokens, the output layer on the 32. The batches
take turns, so that a slow moment of the host meets all of them. Printed are milliseconds by CUDA events and by the
host's clock (median, fastest), the host's time until the pass is launched, kernels and host synchronisations of a pass,
and which attention kernels ran. `--tiny --device cpu` shows that all of it runs.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

import torch
from random_checkpoint import TINY_CONFIGS
from torch.profiler import ProfilerActivity, profile

from samplers import denoiser_for
from samplers.models import blocks
from samplers.models.configuration import CheckpointConfig
from samplers.models.network import DiffusionLanguageModel
from samplers.models.registry import family_of

PROMPT, NEW, BATCHES = 150, 32, (1, 2, 4)
LLADA = {"d_model": 4096, "n_heads": 32, "n_kv_heads": 32, "n_layers": 32, "mlp_hidden_size": 12288,
         "embedding_size": 126464, "vocab_size": 126464, "mask_token_id": 126336}  # fmt: skip


def network(device: str, tiny: bool, **changes: int) -> DiffusionLanguageModel:
    """The network as `models.load` builds it, filled with noise on the device; `changes` of its config."""
    config = CheckpointConfig(TINY_CONFIGS["llada"] | ({} if tiny else LLADA) | changes, "config.json")
    family = family_of(config)
    assert family is not None
    blueprint = family.blueprint(config)
    model = DiffusionLanguageModel(blocks.build(blueprint.blocks, blueprint.config), config, attention=family.attention)
    model = model.to(torch.bfloat16).to_empty(device=device)
    for parameter in model.parameters():
        parameter.requires_grad_(False).normal_(std=0.02)
    blocks.complete(model.model, torch.bfloat16, lambda name: torch.device(device))
    return model.eval()


def timed(call: Any, cuda: bool) -> tuple[float, float, float]:
    """Milliseconds of one call: by events (0 without CUDA), by the host's clock, and until it is launched."""
    events = [torch.cuda.Event(enable_timing=True) for _ in range(2)] if cuda else []
    if cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    if cuda:
        events[0].record()
    call()
    if cuda:
        events[1].record()
    launched = time.perf_counter()
    if cuda:
        torch.cuda.synchronize()
    done = time.perf_counter()
    return events[0].elapsed_time(events[1]) if cuda else 0.0, 1000 * (done - start), 1000 * (launched - start)


def counts(call: Any, cuda: bool) -> str:
    """Kernels (operators without CUDA), synchronisations and attention kernels of one call."""
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as profiler:
        call()
    found = profiler.key_averages()
    launches = sum(one.count for one in found if "LaunchKernel" in one.key)
    waits = sum(one.count for one in found if one.key in ("aten::_local_scalar_dense", "cudaStreamSynchronize"))
    operators = sum(one.count for one in found if one.key.startswith("aten::"))
    words = ("flash", "efficient", "fmha", "cudnn", "scaled_dot_product")
    attention = sorted({one.key[:60] for one in found if any(word in one.key.lower() for word in words)})
    return f"{launches} launches, {operators} operators, {waits} synchronisations; {', '.join(attention)}"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    cuda = options.device.startswith("cuda")
    denoiser = denoiser_for(network(options.device, options.tiny))
    ids = {batch: torch.randint(0, 60, (batch, PROMPT + NEW), device=options.device) for batch in BATCHES}

    def run(batch: int) -> Any:
        return denoiser.window_logits(ids[batch], None, PROMPT, PROMPT + NEW)

    taken: dict[int, list[tuple[float, float, float]]] = {batch: [] for batch in BATCHES}
    with torch.no_grad():
        for turn in range(options.repeats + 5):
            for batch in BATCHES:
                times = timed(lambda batch=batch: run(batch), cuda)
                if turn >= 5:
                    taken[batch].append(times)
        for batch in BATCHES:
            columns = list(zip(*taken[batch], strict=True))
            for what, column in zip(("events", "host", "launched"), columns, strict=True):
                print(f"batch {batch} {what:9}{statistics.median(column):8.2f} ms, fastest {min(column):8.2f}")
            print(f"batch {batch} {counts(lambda batch=batch: run(batch), cuda)}")


if __name__ == "__main__":
    main()
