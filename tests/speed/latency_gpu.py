"""Measures single answers on one GPU: `python tests/speed/latency_gpu.py [--only NAME]` (under three minutes).

Networks in the shape of published ones, built on the device with random weights in bfloat16: LLaDA-8B (full attention,
all positions run at every step), SDAR-8B and LLaDA2-mini (block-causal, with kept keys). Each decodes 32 tokens, one a
step, passes launched eagerly and captured. A row is printed as soon as it is measured:

    predicted   what we expected, ms a pass within `generate()`
    ms a pass   what `generate()` takes, over its rounds; the first, with the whole prompt, is left out
    bare        the same passes, or replays, one after the other without loop and scheduler
    outside     share of the time that is not the forward pass
    read        reading the weights that a pass needs once, by summing them up; and at the speed of a copy
    product     the pass's matrix products at the rate of the largest one
    equal       tokens that are the same as eagerly

Then tiny networks in float32 are checked to answer as eagerly, and that what cannot be captured does so, too.
`--rehearse` runs all of it on the CPU with tiny networks.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import gc
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[up]) for up in (0, 1, 2)]

import torch
import transformers
from captured_check import check, check_failure, check_large, network
from host_recorder import HostRecorder
from model_speed_gpu import LLADA, SDAR, Clock, record_calls
from random_checkpoint import TINY_CONFIGS

from samplers import ConfidenceScheduler, stream
from samplers.denoisers import capturing, graphs

NEW = 32
#: Of Ling-mini-2.0, whose shape LLaDA2-mini has.
LLADA2 = TINY_CONFIGS["llada2"] | {
    "hidden_size": 2048,
    "intermediate_size": 5120,
    "num_hidden_layers": 20,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "num_experts": 256,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 512,
    "n_group": 8,
    "topk_group": 4,
    "block_size": 32,
    "vocab_size": 157184,
    "mask_token_id": 156895,
    "eos_token_id": 156892,
    "pad_token_id": 156892,
    "rope_theta": 6e5,
}
#: Config, prompt length, then batch size → ms a pass that we predict: eager, captured, compiled and captured.
SHAPES: dict[str, tuple[dict[str, Any], int, dict[int, tuple[float, float, float | None]]]] = {
    "llada": (LLADA, 150, {1: (24, 9.5, 8.0), 4: (25, 22, 20)}),
    "sdar": (SDAR, 152, {1: (42, 9.5, 9.0), 16: (44, 13, None), 64: (52, 24, None)}),
    "llada2": (LLADA2, 160, {1: (32, 8, None), 16: (36, 14, None)}),
}
#: Shape, batch size and cache → the answers that were decoded eagerly.
EAGER: dict[tuple[str, int, str | None], Any] = {}
HEAD = ("", "batch", "predicted", "ms a pass", "bare", "outside", "read", "copy", "product", "tokens/s", "equal")
WIDTHS = (30, 6, 10, 10, 8, 8, 7, 7, 8, 9, 7)


class Out:
    """Prints rows; says when there is no time left for more."""

    def __init__(self, seconds: float) -> None:
        self._began, self._seconds = time.perf_counter(), seconds

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._began

    def has_time(self, needed: float, what: str) -> bool:
        """Whether so many seconds are left."""
        if self.elapsed + needed <= self._seconds:
            return True
        self.say(f"left out, for lack of time: {what}")
        return False

    def row(self, *cells: Any) -> None:
        """One row, at once."""
        self.say("".join(str(cell).ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)))

    def say(self, line: str) -> None:
        """One line, at once."""
        print(f"[{self.elapsed:5.0f} s] {line}", flush=True)


class Floor:
    """What no pass of a model can be faster than, in ms, measured on the device at hand.

    Args:
        model: the network.
        clock: of the device.
        size: of the square matrices that are multiplied.
    """

    def __init__(self, model: Any, clock: Clock, size: int) -> None:
        self._experts, self._dense, self._share = [], [], 1.0
        self._clock = clock
        for name, parameter in model.named_parameters():
            # The embedding is looked up, not read.
            if "embed_tokens" not in name:
                (self._experts if ".experts." in name else self._dense).append(parameter)
        config = model.model.config
        self._per_token = getattr(config, "num_experts_per_tok", 0)
        self._all_experts = getattr(config, "n_routed_experts", 0) or 1
        whole = self._dense + self._experts
        count = sum(one.numel() for one in whole)
        self._read = clock.best(lambda: [one.view(-1).sum(dtype=torch.float32) for one in whole], 3) / count
        scratch = torch.empty(max(one.numel() for one in whole), dtype=whole[0].dtype, device=clock.device)

        def copy() -> None:
            for one in whole:
                scratch[: one.numel()].copy_(one.view(-1))

        # A copy reads and writes.
        self._copy = clock.best(copy, 3) / count / 2
        self._vocabulary = model.lm_head.weight.numel()
        left = torch.randn(size, size, dtype=whole[0].dtype, device=clock.device)
        self._product = clock.best(lambda: [left @ left for _ in range(8)], 3) / 8 / size**3

    def cells(self, tokens: int, rows: int) -> list[str]:
        """Of a pass over so many tokens, the output layer on so many rows: read, copy, product."""
        touched = 1 - (1 - self._per_token / self._all_experts) ** tokens if self._experts else 0.0
        dense = sum(one.numel() for one in self._dense)
        experts = sum(one.numel() for one in self._experts)
        weights = dense + touched * experts
        active = dense - self._vocabulary + experts * self._per_token / self._all_experts
        products = (active * tokens + self._vocabulary * rows) * self._product
        return [f"{1e3 * value:.2f}" for value in (self._read * weights, self._copy * weights, products)]


def recorded_replays(decode: Callable[[], Any]) -> list[Callable[[], None]]:
    """The replays of one decoding, to be made again without anything around them."""
    seen: list[Callable[[], None]] = []
    original: Any = graphs.PassGraphs._replayed

    def noting(self: Any, graph: Any, inputs: Any) -> Any:
        seen.append(graph.replay)
        return original(self, graph, inputs)

    graphs.PassGraphs._replayed = noting  # type: ignore[method-assign]
    try:
        decode()
    finally:
        graphs.PassGraphs._replayed = original  # type: ignore[method-assign]
    return seen


class Subject:
    """One network, and how it decodes; made again, it has the same weights.

    Args:
        name: of the shape.
        out: where rows go.
        clock: of the device.
        rehearsed: whether the network is a tiny one.
    """

    def __init__(self, name: str, out: Out, clock: Clock, rehearsed: bool) -> None:
        self._name, self._out, self._clock = name, out, clock
        config, self.prompt, self.predicted = SHAPES[name]
        if rehearsed:
            config = TINY_CONFIGS[name] | ({"block_size": 32} if name == "llada2" else {})
        self.model = network(config, clock.device, *((torch.float32, 0.2) if rehearsed else (torch.bfloat16, 0.02)))
        size = sum(one.numel() for one in self.model.parameters())
        self._floor = Floor(self.model, clock, 64 if rehearsed else 8192)
        self._vocabulary = min(self.model.vocab_size, 60_000) - 4
        block = self.model.block_length or NEW
        # What a step after the first of its block runs.
        self._tokens = block if self.model.attention == "block_causal" else self.prompt + NEW
        self._block = block
        out.say(
            f"{name}: {size / 1e9:.2f} billion parameters, prompt {self.prompt}, {NEW} new tokens, blocks of {block}"
        )

    def measure(self, how: str, batch: int, predicted: float | None, compile: str, cache: str | None = None) -> None:
        """One row."""
        before = graphs.seconds_of_capturing()
        for _ in range(1 if compile == "off" else 3):
            # A shape is captured when it is seen for the third time.
            self._decode(batch, cache, compile)
        captured = graphs.seconds_of_capturing() - before
        seconds, each, answers, rounds = min(
            (self._decode(batch, cache, compile) for _ in range(2)), key=lambda measured: measured[1]
        )

        def decode() -> None:
            self._decode(batch, cache, compile)

        recorded: list[Any] = record_calls(self.model, decode) if compile == "off" else recorded_replays(decode)
        # The first pass, over the whole prompt, may be too large to be captured, and is not counted.
        again = recorded[1:] if len(recorded) == rounds else recorded

        def bare() -> None:
            for call in again:
                call()
                self._clock.wait()

        with torch.no_grad():
            alone = self._clock.best(bare, 2) / max(len(again), 1)
        if compile == "off":
            EAGER[self._name, batch, cache] = answers
        block = 8 if cache else self._block
        equal = (self.eager_answers(batch, cache) == answers).float().mean()
        self._out.row(
            f"{self._name}, {how}",
            batch,
            "" if predicted is None else predicted,
            f"{1e3 * each:.2f}",
            f"{1e3 * alone:.2f}",
            f"{1 - alone / each:.1%}",
            *self._floor.cells(batch * (8 if cache == "dual" else self._tokens), batch * block),
            f"{batch * NEW / seconds:.1f}",
            f"{equal:.1%}",
        )
        if compile != "off":
            made = graphs.graphs_of(self.model, "auto")
            kept = 0 if made is None else len(made)
            self._out.say(
                f"    captured in {captured:.2f} s; {len(recorded)} of {rounds} passes replayed, {kept} graphs kept"
            )

    def eager_answers(self, batch: int, cache: str | None) -> Any:
        """The answers of passes launched one kernel after the other."""
        key = self._name, batch, cache
        if key not in EAGER:
            EAGER[key] = self._decode(batch, cache, "off")[2]
        return EAGER[key]

    def _decode(self, batch: int, cache: str | None, compile: str) -> tuple[float, float, Any, int]:
        """Seconds of a decoding, and of a pass after the first; the answers; the number of rounds."""
        generator = torch.Generator().manual_seed(0)
        shape = (batch, self.prompt)
        prompts = torch.randint(0, self._vocabulary, shape, generator=generator).to(self._clock.device)
        self._clock.wait()
        began, first, last = time.perf_counter(), 0.0, None
        for step in stream(
            self.model,
            prompts,
            scheduler=ConfidenceScheduler(k=1),
            max_new_tokens=NEW,
            block_length=8 if cache else None,
            cache=cache,
            compile=compile,
        ):
            if last is None:
                self._clock.wait()
                first = time.perf_counter()
            last = step
        self._clock.wait()
        done = time.perf_counter()
        assert last is not None
        rounds = int(last.num_rounds.max())
        return done - began, (done - first) / (rounds - 1), last.sample, rounds


def attempt(out: Out, call: Callable[[], Any]) -> None:
    """A row that fails is told, and the next one measured."""
    try:
        call()
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        out.say("FAILED, see above")


def run(name: str, out: Out, clock: Clock, rehearsed: bool, wanted: str | None) -> None:
    """All rows of one shape but the compiled ones, which take longest."""
    subject = Subject(name, out, clock, rehearsed)
    if wanted != "caches":
        for batch, (eager, captured, _) in subject.predicted.items():
            if out.has_time(8, f"{name}, batch {batch}"):
                attempt(out, lambda b=batch, e=eager: subject.measure("eager", b, e, "off"))
                attempt(out, lambda b=batch, c=captured: subject.measure("captured", b, c, "auto"))
    if name == "llada":
        for cache, eager, captured in (("prefix", 24, 8.5), ("dual", 24, 7.5)):
            if out.has_time(6, f"{name}, {cache} cache"):
                attempt(out, lambda c=cache, e=eager: subject.measure(f"{c} cache, eager", 1, e, "off", c))
                attempt(out, lambda c=cache, e=captured: subject.measure(f"{c} cache, captured", 1, e, "auto", c))


def run_compiled(name: str, out: Out, clock: Clock, rehearsed: bool, needed: float) -> None:
    """The rows of compiled layers, captured."""
    if not out.has_time(needed, f"{name}, compiled"):
        return
    subject = Subject(name, out, clock, rehearsed)
    batches = [batch for batch, predicted in subject.predicted.items() if predicted[2] is not None]
    for batch in batches:
        subject.eager_answers(batch, None)
    began = out.elapsed
    # There is no need for a compiler to see that the rest runs.
    subject.model.compile(dynamic=True, backend="eager" if rehearsed else "inductor")
    for batch in batches:
        predicted = subject.predicted[batch][2]
        if batch == batches[0] or out.has_time(0.7 * needed, f"{name}, compiled, batch {batch}"):
            attempt(out, lambda b=batch, p=predicted: subject.measure("compiled, captured", b, p, "auto"))
            out.say(f"    {out.elapsed - began:.0f} s since it was compiled, warm-up included")


def few_layers(rehearsed: bool) -> dict[str, dict[str, Any]]:
    """The shapes that are decoded, of four layers."""
    few = {"llada": {"n_layers": 4}, "sdar": {"num_hidden_layers": 4}, "llada2": {"num_hidden_layers": 4}}
    return {name: TINY_CONFIGS[name] if rehearsed else SHAPES[name][0] | layers for name, layers in few.items()}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[*SHAPES, "caches", "compiled", "check", "failure", "large", "compiled-sdar"])
    parser.add_argument("--seconds", type=float, default=165, help="after these nothing new is begun")
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, with tiny networks")
    options = parser.parse_args()
    out = Out(options.seconds)
    device = torch.device("cpu" if options.rehearse else "cuda:0")
    if options.rehearse:
        capturing.RECORDERS["cpu"] = HostRecorder
    clock = Clock(device)
    name = "the CPU, rehearsed" if options.rehearse else torch.cuda.get_device_name(device)
    out.say(f"{name}; torch {torch.__version__}, transformers {transformers.__version__}")
    out.row(*HEAD)
    jobs: list[tuple[str, Callable[[], None]]] = [
        ("llada", lambda: run("llada", out, clock, options.rehearse, options.only)),
        ("sdar", lambda: run("sdar", out, clock, options.rehearse, options.only)),
        ("llada2", lambda: run("llada2", out, clock, options.rehearse, options.only)),
        ("compiled", lambda: run_compiled("llada", out, clock, options.rehearse, 45)),
        ("check", lambda: check(out.say, device)),
        ("failure", lambda: check_failure(out.say, device)),
        ("large", lambda: check_large(out.say, device, few_layers(options.rehearse))),
        ("compiled-sdar", lambda: run_compiled("sdar", out, clock, options.rehearse, 40)),
    ]
    for job, call in jobs:
        if options.only in (None, job) or (options.only == "caches" and job == "llada"):
            attempt(out, call)
            gc.collect()
            if device.type == "cuda":
                torch.cuda.empty_cache()
    out.say("done")


if __name__ == "__main__":
    main()
