"""Measures the sweep engine: `python tests/speed/sweep_speed.py [--parts sharing engine large equal] [--device cuda]`.

`sharing`: passes per distinct state of the reference model on the paper's grid, task by task (the aim is 4.3 over the
twelve). `engine`: states per second of one thread where the model costs nothing (the aim is 20,000). `large`: the grid
for 32 new tokens on a model of LLaDA-8B's shape with random weights, against the usual style (batch 1, logits at every
position, a float64 softmax over them, top-k) and against the bare network, see `sweep_large`. `equal`: how many answers
weights in 8 bits leave as they are. On a GPU, in some two minutes:

    python tests/speed/sweep_speed.py --device cuda --parts large --compile --questions 4

`--rehearse --device cpu` shows that all of it runs.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import copy
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2]),
                str(Path(__file__).resolve().parent)]  # fmt: skip

import torch
from pass_time_gpu import network
from sweep_large import Counts, Measured, Sweep, answered, report, time_quantised

import hub_dataset
from benchmark.engine import states
from benchmark.engine.worker import LogitsWorker
from benchmark.models import HubModel, ModelOptions
from benchmark.models.interface import AnswerOptions
from benchmark.protocol.grids import expand_grid, read_grid
from benchmark.protocol.method import Method
from hub_dataset.parts import MODEL
from samplers import RecordedProposal, StateReader

TASKS = ("waiting_line_copy", "waiting_line_shuffle", "puzzle_latin_square_n4")
LINES = ("waiting_line_copy", "waiting_line_shuffle", "waiting_line_replace_random")
#: New tokens of texts and puzzles, and of waiting lines.
NEW, SHORT = 64, 32


def methods_of_the_paper(new_tokens: int, every: int) -> list[Method]:
    """Every so many of the settings that the paper runs on a task of so many new tokens."""
    parts = expand_grid(read_grid("paper").narrowed(new_tokens=new_tokens), lambda name: None)
    return list(parts[0].group.methods)[::every]


def twelve_tasks() -> list[str]:
    """Those whose answers can be enumerated."""
    return [task for part in expand_grid(read_grid("protocol"), lambda name: None) for task in part.group.tasks]


def measure_sharing(arguments: Any) -> None:
    """Passes per distinct state, a line per task; several tasks side by side where there are cores for them."""
    total = Counts()
    with ProcessPoolExecutor(arguments.jobs, get_context("spawn")) as pool:
        jobs = [(task, arguments.questions, arguments.every) for task in twelve_tasks()]
        for task, visited, distinct, taken in pool.map(_share, jobs):
            total.add(visited, distinct)
            print(
                f"  {task:28} {visited:8,} passes, {distinct:7,} distinct states: {visited / distinct:5.2f} "
                f"({taken:.0f} s)",
                flush=True,
            )
    print(f"  all: {total.states / total.passes:.2f} passes per distinct state", flush=True)


def _share(of: tuple[str, int, int]) -> tuple[str, int, int, float]:
    task, questions, every = of
    torch.set_num_threads(1)
    began, reference = time.perf_counter(), HubModel(str(MODEL), ModelOptions(device="cpu"))
    rows, methods = hub_dataset.build_rows(task)[:questions], methods_of_the_paper(NEW, every)
    found = answered(reference, rows, methods, NEW, None)
    return task, found.states, found.passes, time.perf_counter() - began


class FreeReader(StateReader):
    """A model that costs nothing: the same token everywhere, with numbers drawn beforehand."""

    drawn = torch.rand(4, 1 << 12, NEW, generator=torch.Generator().manual_seed(0))

    def read(self, prompts: torch.Tensor, answers: torch.Tensor, length: int | None = None) -> RecordedProposal:
        first, second, third, fourth = self.drawn[:, : len(prompts)]
        return RecordedProposal(torch.full_like(answers, 7), first, second, -third, fourth, vocab_size=100)


def measure_engine(reference: Any, methods: list[Method], questions: int) -> None:
    """States per second of one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = hub_dataset.build_rows(TASKS[0])[:questions]
    with_reader(FreeReader, lambda: answered(reference, rows[:1], methods, NEW, 128))
    began, used = time.perf_counter(), time.process_time()
    counts = with_reader(FreeReader, lambda: answered(reference, rows, methods, NEW, 128))
    seconds, used = time.perf_counter() - began, time.process_time() - used
    torch.set_num_threads(threads)
    print(
        f"  {len(methods)} settings, {questions} questions: {counts.states:,} states, {counts.passes:,} distinct, in "
        f"{seconds:.1f} s ({used:.1f} s of processor time): {counts.states / used:,.0f} states/s",
        flush=True,
    )


def with_reader(reader: type[StateReader], call: Any) -> Any:
    """What `call` returns with another reader of states."""
    import samplers

    kept = samplers.StateReader
    samplers.StateReader = reader
    try:
        return call()
    finally:
        samplers.StateReader = kept


def measure_large(arguments: Any, reference: Any) -> None:
    """Both styles on a model of the large shape, and the bare network."""
    new = 8 if arguments.rehearse else SHORT
    began = time.perf_counter()
    # The tokens are the reference's.
    words = {"vocab_size": 4096, "embedding_size": 4096} if arguments.rehearse else {}
    model = network(arguments.device, arguments.rehearse, **words)
    # The usual style has no compiled layers. Past torch, which would take it for a part of the model.
    object.__setattr__(model, "eager", eager_copy(model))
    print(f"  built in {time.perf_counter() - began:.0f} s", flush=True)
    if arguments.compile:
        model.compile(dynamic=True)
    sweep = Sweep(model, reference, methods_of_the_paper(new, arguments.every), new, arguments.batch_size)
    began = time.perf_counter()
    sweep.warm_up()
    sweep.run(TASKS[0], 1, sweep.methods[::20])
    warmed = dict(torch._dynamo.utils.counters["stats"])
    print(f"  warmed up in {time.perf_counter() - began:.0f} s, {warmed.get('unique_graphs', 0)} graphs", flush=True)
    sweep.measured = Measured(model, sweep.mask_token_id)
    total, seconds, started = Counts(), 0.0, time.perf_counter()
    for task in arguments.tasks:
        if time.perf_counter() - started > arguments.seconds:
            print(f"  {task} is left out: {arguments.seconds:.0f} s are over", flush=True)
            continue
        found, taken = sweep.run(task, arguments.questions)
        print(
            f"  {task:28} {found.states:7,} passes, {found.passes:6,} distinct ({found.states / found.passes:.2f}), "
            f"{taken:6.1f} s: {1e3 * taken / found.passes:.2f} ms a distinct state",
            flush=True,
        )
        total.add(found.states, found.passes)
        seconds += taken
    graphs = torch._dynamo.utils.counters["stats"].get("unique_graphs", 0) - warmed.get("unique_graphs", 0)
    print(f"  graphs compiled while it was measured: {graphs}", flush=True)
    report(total, seconds, sweep)
    if arguments.quantization is not None:
        print(f"a pass in {arguments.quantization}", flush=True)
        time_quantised(model, arguments.quantization, arguments.batch_size, new)


def eager_copy(model: Any) -> Any:
    """The same weights in a network that stays as it is when the other is compiled."""
    copied = copy.copy(model)
    copied._modules = dict(model._modules)
    copied.model = copy.copy(model.model)
    copied.model._modules = dict(model.model._modules)
    copied.model.layers = torch.nn.ModuleList([copy.copy(layer) for layer in model.model.layers])
    return copied


def measure_equal(arguments: Any) -> None:
    """How many answers of the reference model are the same with weights in 8 bits."""
    methods = [Method.parse(text) for text in ("confidence:k=4", "threshold:threshold=0.9")]
    count = 2 if arguments.rehearse else 20
    for task in TASKS:
        rows, found = hub_dataset.build_rows(task)[:count], []
        for quantization in (None, arguments.quantization):
            options = ModelOptions(device=arguments.device, quantization=quantization)
            answers = LogitsWorker(HubModel(str(MODEL), options)).answers(rows, methods, AnswerOptions(NEW))
            samples = [(one.method, sample) for one in answers for sample in one.samples]
            found.append({(method, sample["id"]): sample["prediction"] for method, sample in samples})
        for method in methods:
            same = [found[0][key] == found[1][key] for key in found[0] if key[0] == method]
            print(f"  {task:28} {method}: {sum(same)} of {len(same)} answers are the same", flush=True)


def main() -> None:
    """The parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ["sharing", "engine", "large", "equal"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts[:2])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tasks", nargs="+", default=list(LINES), help="of `large`")
    parser.add_argument("--questions", type=int, default=2, help="of each task")
    parser.add_argument("--every", type=int, default=1, help="only every so many settings of the paper's grid")
    parser.add_argument("--batch-size", type=int, default=64, help="of the large model")
    parser.add_argument("--seconds", type=float, default=80, help="after which `large` begins no other task")
    parser.add_argument("--jobs", type=int, default=1, help="tasks that `sharing` does side by side")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--quantization", choices=["fp8", "int8"], help="of `equal`, and of another pass of `large`")
    parser.add_argument("--rehearse", action="store_true", help="everything, with a tiny model in place of a large one")
    arguments = parser.parse_args()
    cuda = arguments.device.startswith("cuda")
    if arguments.rehearse:
        # As a GPU is driven.
        states._MOST_SENT["cpu"] = 2
        states._JOINS_LENGTHS.add("cpu")
    print(f"{torch.cuda.get_device_name() if cuda else 'the CPU'}; torch {torch.__version__}", flush=True)
    if "engine" in arguments.parts:
        print("engine without a model", flush=True)
        reference = HubModel(str(MODEL), ModelOptions(device="cpu"))
        measure_engine(reference, methods_of_the_paper(NEW, arguments.every), 4 if arguments.rehearse else 64)
    if "sharing" in arguments.parts:
        print("sharing, reference model", flush=True)
        measure_sharing(arguments)
    if "large" in arguments.parts:
        print("the shape of LLaDA-8B, random weights, bfloat16", flush=True)
        measure_large(arguments, HubModel(str(MODEL), ModelOptions(device=arguments.device)))
    if "equal" in arguments.parts:
        print(f"the reference model in {arguments.quantization}", flush=True)
        measure_equal(arguments)


if __name__ == "__main__":
    main()
