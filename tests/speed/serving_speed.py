"""Measures the server beside the bare engine: `python tests/speed/serving_speed.py [--clients 1 8 64] [--rounds 5]`.

Questions of the shipped model go three ways, whose answers have to be the same: through the engine of a run, in batches
as large as there are clients (at most the server's); through the rolling batch that the server decodes with, without a
server; and through the server, a process of its own on loopback, asked by so many clients at once, each of which asks
its next question when it has an answer. What the server loses against the rolling batch is the price of serving. The
engine of a run decodes all blocks of an answer, and the other two end with the one in which the answer ends.

Other programs make each slower, and not evenly. So all three are measured in every round, one right after the other, in
another order each time, and what was lost is the median over the rounds, by three measures:

- the clock;
- the clock, but for the time in which the thread that decodes had work and another program had the processor
  (`schedstat` of `/proc`); what the threads around it waited still counts, which a single client feels;
- processor time of the process that decodes.

All of it runs in one thread of torch unless OMP_NUM_THREADS says otherwise.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

import httpx

import hub_dataset
from benchmark.engine.allocator import keep_freed_memory
from benchmark.engine.requests import Request
from benchmark.engine.rolling import RollingBatch
from benchmark.engine.worker import LogitsWorker
from benchmark.models import HubModel, ModelOptions
from benchmark.models.interface import AnswerOptions
from benchmark.models.prompts import tokenize_prompts
from benchmark.protocol.method import Method, expand
from hub_dataset.parts import MODEL

NEW = 64
Row = dict[str, Any]


@dataclass(slots=True)
class Found:
    """What a repetition gave: answers, and the seconds that each took where that is known."""

    answers: list[str]
    latencies: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Repetition:
    """One way through all questions, in seconds.

    `waited` is for how long work waited for a processor, `processor` what the decoding process took, and `client` what
    asking took.
    """

    found: Found
    clock: float
    waited: float
    processor: float
    client: float = 0.0


def through_the_engine(worker: LogitsWorker, method: Method, rows: list[Row], batch_size: int) -> Found:
    """As `parallelbench run` decodes them."""
    options = AnswerOptions(NEW, batch_size=batch_size, sharing=False)
    found = {
        sample["id"]: sample["prediction"]
        for answered in worker.answers(rows, [method], options)
        for sample in answered.samples
    }
    return Found([found[row["id"]] for row in rows])


def through_the_batch(model: HubModel, method: Method, rows: list[Row], batch_size: int) -> Found:
    """As the server decodes them."""
    prepared = model.for_task([], NEW)
    batch = RollingBatch(prepared, method, batch_size=batch_size)
    prompts = tokenize_prompts(prepared.tokenizer, rows, {})
    requests = [Request(prompt, NEW, 0.0, id=row["id"]) for row, prompt in zip(rows, prompts, strict=True)]
    batch.join(requests)
    while not all(request.is_over for request in requests):
        batch.go_on()
    return Found([request.text for request in requests])


def through_the_server(url: str, rows: list[Row], clients: int) -> Found:
    """Asked by so many clients at once."""
    return asyncio.run(_ask(url, rows, clients))


async def _ask(url: str, rows: list[Row], clients: int) -> Found:
    answers, latencies, left = [""] * len(rows), [0.0] * len(rows), list(enumerate(rows))[::-1]

    async def client(session: httpx.AsyncClient) -> None:
        while left:
            place, row = left.pop()
            asked = {"model": "reference", "messages": row["messages"], "max_tokens": NEW}
            began = time.perf_counter()
            response = await session.post(f"{url}/chat/completions", json=asked)
            latencies[place] = time.perf_counter() - began
            answers[place] = response.json()["choices"][0]["message"]["content"]

    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(timeout=600, limits=limits) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    return Found(answers, latencies)


def thread_times(process: int) -> dict[str, tuple[float, float]]:
    """Thread → seconds that it ran, and that it waited for a processor."""
    found = {}
    for task in Path(f"/proc/{process}/task").iterdir():
        try:
            ran, waited, _ = (task / "schedstat").read_text().split()
        except OSError:
            continue  # It has ended meanwhile.
        found[task.name] = int(ran) / 1e9, int(waited) / 1e9
    return found


def measured(call: Callable[[], Found], decoder: int) -> Repetition:
    """A repetition whose decoding is done by a process, and asked for by this one."""
    processes = {decoder, os.getpid()}
    before = {process: thread_times(process) for process in processes}
    began = time.perf_counter()
    found = call()
    clock = time.perf_counter() - began
    spent: dict[int, list[tuple[float, float]]] = {}
    for process in processes:
        spent[process] = []
        for name, (ran, waited) in thread_times(process).items():
            ran_before, waited_before = before[process].get(name, (0.0, 0.0))
            spent[process].append((ran - ran_before, waited - waited_before))
    took = {process: sum(ran for ran, _ in threads) for process, threads in spent.items()}
    client = 0.0 if decoder == os.getpid() else took[os.getpid()]
    return Repetition(found, clock, max(spent[decoder])[1], took[decoder], client)


def losses(bare: list[Repetition], served: list[Repetition]) -> str:
    """What the server lost, in percent: medians over the rounds, and how far they go."""

    def lost(seconds: Callable[[Repetition], float]) -> str:
        shares = [100 * (1 - seconds(one) / seconds(other)) for one, other in zip(bare, served, strict=True)]
        return f"{median(shares):+.1f} % ({min(shares):+.0f} to {max(shares):+.0f})"

    return (
        f"{lost(lambda one: one.clock)} by the clock, {lost(lambda one: one.clock - one.waited)} without waiting, "
        f"{lost(lambda one: one.processor)} by processor time"
    )


def main() -> None:
    """Print a few lines for each number of clients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--scheduler", default="threshold:threshold=0.9,block_length=16")
    parser.add_argument("--task", default="puzzle_latin_square_n4")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--questions", type=int, default=96, help="with one client an eighth of them")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    # As the commands do.
    keep_freed_memory()
    (method,) = expand(arguments.scheduler, NEW, sweep=False)
    rows = (hub_dataset.build_rows(arguments.task) * 10)[: arguments.questions]
    rows = [{**row, "id": str(number)} for number, row in enumerate(rows)]
    model = HubModel(str(MODEL), ModelOptions(device="cpu"))
    worker = LogitsWorker(model)
    through_the_engine(worker, method, rows[:8], 8)
    command = [str(Path(sys.executable).with_name("parallelbench")), "serve", "--model", "reference", "--port", "0"]
    options = ["--scheduler", arguments.scheduler, "--batch-size", str(arguments.batch_size), "--device", "cpu"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment.pop("PARALLELBENCH_API_KEY", None)
    server = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert server.stdout is not None
        said = server.stdout.readline()
        print(said.strip(), flush=True)
        url = said.split(" at ")[1].split(",")[0]
        through_the_server(url, rows[:8], 8)
        for clients in arguments.clients:
            asked = rows[: max(8, len(rows) // 8)] if clients == 1 else rows
            size = min(clients, arguments.batch_size)
            print(f"{clients} clients, {len(asked)} questions; load {os.getloadavg()[0]:.1f}", flush=True)
            ways: dict[str, tuple[Callable[[], Found], int]] = {
                "engine of a run": (partial(through_the_engine, worker, method, asked, size), os.getpid()),
                "rolling batch": (partial(through_the_batch, model, method, asked, size), os.getpid()),
                "server": (partial(through_the_server, url, asked, clients), server.pid),
            }
            found: dict[str, list[Repetition]] = {way: [] for way in ways}
            for number in range(arguments.rounds):
                turn = number % len(ways)
                for way in [*ways][turn:] + [*ways][:turn]:
                    found[way].append(measured(*ways[way]))
                answers = [repetitions[-1].found.answers for repetitions in found.values()]
                assert answers[0] == answers[1] == answers[2], "the server answers otherwise than the engine"
            for way, repetitions in found.items():
                clock, processor = (median(getattr(one, key) for one in repetitions) for key in ("clock", "processor"))
                print(
                    f"  {way:16}{len(asked) / clock:6.2f} answers/s, {1e3 * processor / len(asked):4.0f} ms of a "
                    "processor for each",
                    flush=True,
                )
            latencies = sorted(seconds for repetition in found["server"] for seconds in repetition.found.latencies)
            asking = median(repetition.client for repetition in found["server"]) / len(asked)
            late = latencies[int(0.95 * (len(latencies) - 1))]
            print(f"  latency {1e3 * median(latencies):.0f} ms, 95 % within {1e3 * late:.0f} ms")
            print(f"  asking takes the client {1e3 * asking:.1f} ms of a processor for each answer")
            for way in ("engine of a run", "rolling batch"):
                print(f"  lost against the {way}: {losses(found[way], found['server'])}", flush=True)
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    main()
