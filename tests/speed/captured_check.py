"""Networks with random weights built on a device, and a check that captured passes answer as eager ones do."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from random_checkpoint import TINY_CONFIGS

from samplers import ConfidenceScheduler, generate
from samplers.denoisers import graphs
from samplers.models import blocks, loading
from samplers.models.configuration import CheckpointConfig
from samplers.models.registry import family_of

#: One of each kind of attention, and experts (whose product, in float32, makes the host wait on some GPUs).
KINDS = ("llada", "dream", "parallelbench", "nemotron_labs_diffusion", "llada2", "sdar")


def network(config: dict[str, Any], device: torch.device, dtype: torch.dtype, std: float = 0.02) -> Any:
    """A network as `models.load` builds it, filled with noise on the device."""
    wrapped = CheckpointConfig(config, "config.json")
    family = family_of(wrapped)
    assert family is not None
    torch.manual_seed(0)
    model: Any = loading.network(family, wrapped, family.blueprint(wrapped)).to(dtype).to_empty(device=device)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(False)
        if "norm" in name:
            parameter.fill_(1)
        else:
            parameter.normal_(std=std)
    for buffer in model.buffers():
        buffer.zero_()
    blocks.complete(model.model, dtype, lambda name: device)
    model.mask_token_id = config["mask_token_id"]
    return model.eval()


def check(say: Callable[[str], None], device: torch.device) -> None:
    """Tiny networks in float32 answer as eagerly, by captured passes; of threads, too."""
    for name in KINDS:
        model = network(TINY_CONFIGS[name], device, torch.float32, std=0.2)
        rows = torch.randint(0, 60, (2, 9), generator=torch.Generator().manual_seed(0)).to(device)
        padding = torch.ones_like(rows)
        padding[1, :3] = 0
        wrong, runs = [], 0
        for cache in (None, "prefix", "dual"):
            options: dict[str, Any] = {"scheduler": ConfidenceScheduler(k=1), "max_new_tokens": 16, "block_length": 8}
            options |= {"attention_mask": padding, "cache": cache}
            expected = generate(model, rows, compile="off", **options).sequences
            for compile in ("auto", "graphs"):
                runs += 1
                if not torch.equal(generate(model, rows, compile=compile, **options).sequences, expected):
                    wrong.append((cache, compile))
        kept = graphs.graphs_of(model, "auto")
        say(f"check {name}: {runs - len(wrong)} of {runs} as eagerly {wrong or ''}; {len(kept or ())} graphs kept")
    found: list[Any] = [None] * 3

    def work(number: int) -> None:
        # A scheduler remembers its steps, and serves one generation at a time.
        own = options | {"scheduler": ConfidenceScheduler(k=1)}
        found[number] = [generate(model, rows, compile="graphs", **own).sequences for _ in range(4)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(found))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal = all(one is not None and all(torch.equal(answer, expected) for answer in one) for one in found)
    say(f"check {name}: three threads answer {'as eagerly' if equal else 'OTHERWISE'}")


def check_large(say: Callable[[str], None], device: torch.device, configs: Mapping[str, dict[str, Any]]) -> None:
    """The share of tokens that are as eagerly, for networks of a few layers and a real vocabulary."""
    for name, config in configs.items():
        for dtype in (torch.float32, torch.bfloat16):
            model = network(config, device, dtype)
            rows = torch.randint(0, 60, (2, 152), generator=torch.Generator().manual_seed(0)).to(device)
            found = []
            for cache in (None, "prefix", "dual"):
                options: dict[str, Any] = {"scheduler": ConfidenceScheduler(k=1), "max_new_tokens": 32, "cache": cache}
                options |= {"block_length": None if cache is None else 8}
                expected = generate(model, rows, compile="off", **options).sequences[:, 152:]
                answer = generate(model, rows, compile="graphs", **options).sequences[:, 152:]
                found.append(f"{cache or 'no'} cache {(answer == expected).float().mean():.1%}")
            say(f"check {name}, {str(dtype).removeprefix('torch.')}: equal tokens with {', '.join(found)}")
            del model


def check_failure(say: Callable[[str], None], device: torch.device) -> None:
    """What cannot be captured is run eagerly, with a warning, and other models are captured afterwards."""
    model = network(TINY_CONFIGS["sdar"], device, torch.float32, std=0.2)
    rows = torch.randint(0, 60, (1, 9), generator=torch.Generator().manual_seed(0)).to(device)
    kept = graphs.graphs_of(model, "graphs")
    assert kept is not None
    with warnings.catch_warnings(record=True) as caught, torch.no_grad():
        warnings.simplefilter("always")
        # The host waits for a number.
        found = [
            kept.run("waits", {"ids": rows}, lambda given: given["ids"] + given["ids"].sum().item(), lambda: rows)
            for _ in range(5)
        ]
    eager = all(one is rows for one in found)
    say(f"check: a failed capture is {'eager' if eager else 'NOT EAGER'}, {len(caught)} warning: {caught[0].message}")
    expected = generate(model, rows, scheduler=ConfidenceScheduler(k=1), compile="off").sequences
    again = generate(model, rows, scheduler=ConfidenceScheduler(k=1)).sequences
    say(f"check: afterwards {'as before' if torch.equal(expected, again) else 'OTHERWISE'}")
    # The mark of a failed capture would make what is random fail.
    torch.rand(1, device=device)
    check(say, device)
