"""Measures what schedulers cost beside a real model: `python tests/speed/scheduler_overhead_gpu.py`, on one GPU.

A model with LLaDA-8B's shape and random weights (bfloat16, made on the device) decodes a batch of 16 prompts of 128
tokens, 64 new tokens each in blocks of 32, once per scheduler. Printed is the share of the time that `generate` spends
outside the forward pass: events on the device before and after each forward pass, against the time of the whole loop,
which synchronises once a step. It needs torch, transformers and diffusers, 20 GB of memory, and under two minutes and
a half. `--tiny --device cpu` tries it on a small model.
"""

import argparse
import contextlib
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from samplers import generate, scheduler_class, scheduler_names

LLADA_8B = {"vocab_size": 126_464, "hidden_size": 4096, "intermediate_size": 12_288, "num_hidden_layers": 32}
LLADA_8B |= {"num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096}
TINY = {"vocab_size": 1000, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
TINY |= {"num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 512}
MASK_FROM_THE_END = 128
AIM = 0.03


class EnoughError(Exception):
    """Ends a generation whose time is up, between two steps."""


class RandomLLaDA(nn.Module):
    """A Llama with bidirectional attention and random weights, which times its own forward passes.

    Attributes:
        spans: start and end of each forward pass since `reset`, as device events or seconds.
    """

    attention = "full"
    shift = 0

    def __init__(self, settings: dict[str, int], device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        from transformers import LlamaConfig, LlamaModel

        config = LlamaConfig(**settings, rms_norm_eps=1e-5, use_cache=False, tie_word_embeddings=False)
        config._attn_implementation = "sdpa"
        # Transformers' decoders are causal unless config and layers both say otherwise.
        config.is_causal = False
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            with torch.device(device):
                self.decoder = LlamaModel(config)
                self.head = nn.Linear(settings["hidden_size"], settings["vocab_size"], bias=False)
                nn.init.normal_(self.head.weight, std=0.02)
        finally:
            torch.set_default_dtype(before)
        for module in self.decoder.modules():
            if hasattr(module, "is_causal"):
                module.is_causal = False
        self.mask_token_id = settings["vocab_size"] - MASK_FROM_THE_END
        self.needs_mask = False
        self.reset(float("inf"))

    def reset(self, seconds: float) -> None:
        """Forget the forward passes so far, and allow so many seconds from now."""
        self.spans: list[tuple[Any, Any]] = []
        self.stop_at = time.perf_counter() + seconds

    def mark(self, device: torch.device) -> Any:
        """Now, as the device sees it."""
        if device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        logits_to_keep: Tensor | None = None,
    ) -> Any:
        if time.perf_counter() > self.stop_at:
            raise EnoughError
        start = self.mark(input_ids.device)
        if attention_mask is None and self.needs_mask:
            length = input_ids.shape[1]
            attention_mask = torch.ones(1, 1, length, length, dtype=torch.bool, device=input_ids.device)
        hidden = self.decoder(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, use_cache=False
        ).last_hidden_state
        if logits_to_keep is not None:
            hidden = hidden.index_select(1, logits_to_keep)
        logits = self.head(hidden)
        self.spans.append((start, self.mark(input_ids.device)))
        return types.SimpleNamespace(logits=logits)

    @torch.no_grad()
    def look_both_ways(self) -> str:
        """Make sure that tokens see what comes after them; says how that is done."""
        ids = torch.arange(16, device=self.head.weight.device).view(2, 8)
        for needs_mask in (False, True):
            self.needs_mask = needs_mask
            other = ids.clone()
            other[:, -1] += 7
            if not torch.equal(self(ids).logits[:, 0], self(other).logits[:, 0]):
                return "with a mask of ones" if needs_mask else "without a mask"
        raise RuntimeError(
            "this version of transformers keeps LlamaModel causal, so nothing here would be a measurement"
        )

    def seconds(self) -> float:
        """Total time of the forward passes since `reset`; to be asked after a synchronisation."""
        if self.spans and not isinstance(self.spans[0][0], float):
            return sum(start.elapsed_time(end) for start, end in self.spans) / 1000
        return sum(end - start for start, end in self.spans)


def settings_to_run(names: list[str]) -> list[tuple[str, Callable[[], Any]]]:
    """Label and maker of every scheduler, with four tokens per step where that is a parameter."""
    import inspect

    made: list[tuple[str, Callable[[], Any]]] = []
    for name in names:
        cls = scheduler_class(name)
        arguments = {"k": 4} if "k" in inspect.signature(cls.__init__).parameters else {}
        inside = ", ".join(f"{key}={value}" for key, value in arguments.items())
        made.append((f"{name}({inside})", lambda cls=cls, arguments=arguments: cls(**arguments)))
    confidence, remdm = scheduler_class("confidence"), scheduler_class("remdm")
    made.append(("confidence(k=4, temperature=1)", lambda: confidence(k=4, temperature=1.0)))
    made.append(("remdm(k=4, variant=loop, top_p=0.9)", lambda: remdm(k=4, variant="loop")))
    return made


def measure(
    model: RandomLLaDA, scheduler: Any, prompts: Tensor, new_tokens: int, seconds: float
) -> tuple[int, float, float]:
    """Steps taken, seconds in the forward pass, and seconds in all of one generation, cut off after `seconds`."""
    cuda = prompts.device.type == "cuda"
    if cuda:
        torch.cuda.synchronize()
    model.reset(seconds)
    start = time.perf_counter()
    with contextlib.suppress(EnoughError):
        generate(
            model,
            prompts,
            scheduler=scheduler,
            max_new_tokens=new_tokens,
            block_length=new_tokens // 2,
            generator=torch.Generator(prompts.device).manual_seed(0),
        )
    if cuda:
        torch.cuda.synchronize()
    total = time.perf_counter() - start
    return len(model.spans), model.seconds(), total


def main() -> None:
    """Print one line per scheduler, then the largest share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("schedulers", nargs="*", metavar="SCHEDULER", help="short names; all by default")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a small model in float32, to try the script")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--prompt", type=int, default=128)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3.5, help="the most that one scheduler may take")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    began = time.perf_counter()
    torch.manual_seed(0)
    settings, dtype = (TINY, torch.float32) if arguments.tiny else (LLADA_8B, torch.bfloat16)
    model = RandomLLaDA(settings, device, dtype).eval()
    both_ways = model.look_both_ways()
    count = sum(parameter.numel() for parameter in model.parameters())
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{where}, torch {torch.__version__}: {count / 1e9:.2f}e9 parameters, {dtype}, attends both ways {both_ways}")
    print(f"batch {arguments.batch}, prompt {arguments.prompt}, {arguments.new_tokens} new tokens in two blocks")
    prompts = torch.randint(0, 900, (arguments.batch, arguments.prompt), device=device)
    run = (prompts, arguments.new_tokens, arguments.seconds)
    for name in ("confidence", "klass"):  # compiles and loads what is needed, and fills the allocator
        measure(model, scheduler_class(name)(k=arguments.new_tokens // 8), *run)
    print(f"{'scheduler':38}{'steps':>6}{'step ms':>9}{'forward ms':>12}{'outside':>9}", flush=True)
    shares: dict[str, float] = {}
    for label, make in settings_to_run(arguments.schedulers or scheduler_names()):
        measure(model, make(), prompts, arguments.new_tokens, arguments.seconds / 10)
        steps, forward, total = measure(model, make(), *run)
        shares[label] = 1 - forward / total
        print(
            f"{label:38}{steps:>6}{1000 * total / steps:>9.2f}{1000 * forward / steps:>12.2f}{shares[label]:>9.2%}",
            flush=True,
        )
    worst = max(shares, key=lambda label: shares[label])
    over = sum(share > AIM for share in shares.values())
    print(
        f"largest share outside the forward pass: {shares[worst]:.2%}, {worst}; {over} of {len(shares)} above {AIM:.0%}"
    )
    if device.type == "cuda":
        print(f"peak memory {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB")
    print(f"took {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
