"""Times a round of eight drafts against a forward pass: `python tests/speed/drafts_gpu.py` (two minutes).

Random weights in bfloat16 in the shape of SDAR-8B, batch 1, a prompt of 512 tokens and 64 new ones in blocks of 32,
whose keys are kept. Printed are milliseconds a round, by the host's clock with the device waited for, of the verified
method with eight states and of one token at a time, each over a whole generation; the same of the network alone, on
the states of one block; and the ratios, the aim of the first being at most 1.25. The two take turns, so that a slow
moment meets both. `--tiny --device cpu` shows that all of it runs.
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

from samplers import ConfidenceScheduler, SessionRequest, VerifiedScheduler, denoiser_for, generate
from samplers.models import blocks
from samplers.models.configuration import CheckpointConfig
from samplers.models.network import DiffusionLanguageModel
from samplers.models.registry import family_of

PROMPT, NEW, BLOCK, STATES = 512, 64, 32, 8
SDAR = {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32,
        "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936, "mask_token_id": 151669,
        "rope_theta": 1e6}  # fmt: skip


def network(device: str, tiny: bool) -> DiffusionLanguageModel:
    """The network as `models.load` builds it, filled with noise on the device."""
    config = CheckpointConfig(TINY_CONFIGS["sdar"] | ({} if tiny else SDAR), "config.json")
    family = family_of(config)
    assert family is not None
    blueprint = family.blueprint(config)
    built = blocks.build(blueprint.blocks, blueprint.config)
    model = DiffusionLanguageModel(built, config, attention=family.attention, block_length=BLOCK)
    model = model.to(torch.bfloat16).to_empty(device=device)
    for parameter in model.parameters():
        parameter.requires_grad_(False).normal_(std=0.02)
    blocks.complete(model.model, torch.bfloat16, lambda name: torch.device(device))
    model.mask_token_id = 63 if tiny else SDAR["mask_token_id"]
    return model.eval()


def milliseconds(call: Any, cuda: bool) -> tuple[float, Any]:
    """Of one call, and what it returns."""
    if cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    found = call()
    if cuda:
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start), found


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    cuda = options.device.startswith("cuda")
    model = network(options.device, options.tiny)
    ids = torch.randint(0, 60, (1, PROMPT), device=options.device)
    # Every draft is looked at, however little the noise thinks of it.
    methods: dict[str, Any] = {
        "one at a time": ConfidenceScheduler(k=1),
        f"{STATES} states": VerifiedScheduler(threshold=None, accept=0, drafts=STATES),
    }
    taken: dict[str, list[float]] = {name: [] for name in methods}
    states: dict[str, float] = {}
    for turn in range(options.repeats + 1):
        for name, scheduler in methods.items():

            def decode(scheduler: Any = scheduler) -> Any:
                return generate(model, ids, scheduler=scheduler, max_new_tokens=NEW, block_length=BLOCK)

            time_taken, output = milliseconds(decode, cuda)
            rounds = output.num_rounds.item()
            states[name] = output.num_forward_passes.item() / rounds
            if turn:
                taken[name].append(time_taken / rounds)
    for name, times in taken.items():
        print(f"loop, {name:14} {statistics.median(times):8.2f} ms a round, {states[name]:.2f} states each")
    one, several = (statistics.median(times) for times in taken.values())
    print(f"loop, ratio {several / one:.3f}")

    session: Any = denoiser_for(model).session(SessionRequest(None, PROMPT, BLOCK, mask_token_id=model.mask_token_id))
    sequence = torch.cat([ids, ids.new_full((1, NEW), model.mask_token_id)], dim=1)
    window, rows = (PROMPT, PROMPT + BLOCK), torch.zeros(STATES, dtype=torch.long, device=ids.device)
    looks: dict[str, Any] = {
        "one state": lambda: session.look(sequence, *window),
        f"{STATES} states": lambda: session.look_at_states(sequence.expand(STATES, -1), rows, *window),
    }
    found: dict[str, list[float]] = {name: [] for name in looks}
    with torch.no_grad():
        for turn in range(10 * options.repeats + 3):
            for name, look in looks.items():
                time_taken, _ = milliseconds(look, cuda)
                if turn >= 3:
                    found[name].append(time_taken)
    for name, times in found.items():
        print(f"pass, {name:14} {statistics.median(times):8.2f} ms, fastest {min(times):8.2f}")
    one, several = (statistics.median(times) for times in found.values())
    print(f"pass, ratio {several / one:.3f}")


if __name__ == "__main__":
    main()
