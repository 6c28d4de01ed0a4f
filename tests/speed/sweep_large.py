"""A grid with shared states on a model of LLaDA-8B's shape: the usual style, the engine and the bare network, in turns.

Random weights have no structure, so settings come through the states that the reference model would bring them
through. It is asked first; then every state goes through the large model for its time, and what was recorded of the
reference decides. All else is the engine's own: batches, lengths, copies to the host, steps.
"""

# ruff: noqa: E402

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2]),
                str(Path(__file__).resolve().parent)]  # fmt: skip

import torch

import benchmark.engine.rows as rows_module
import hub_dataset
from benchmark.engine.worker import LogitsWorker
from benchmark.models import HubModel
from benchmark.models.interface import AnswerOptions, TaskModel
from benchmark.protocol.method import Method
from samplers import RecordedProposal, StateReader
from samplers.denoisers.sending import sent
from samplers.schedulers.proposals import RECORDED

#: Mean tokens of a prompt as tokenizers of 100,000 words see the questions; the reference's own takes more.
PROMPT = 150
#: Forward passes that the paper's grid takes of one model.
PASSES_OF_THE_PAPER = 3.5e6
# Batches of the engine between two portions of the usual style, passes of a portion, and passes in which it warms up.
_EVERY, _PORTION, _WARM = 16, 4, 8
_Prompt = tuple[int, ...]


class Pass(NamedTuple):
    """What went through the large model at once."""

    ids: torch.Tensor
    options: dict[str, Any]


class Decisions:
    """What the reference model says of every state that settings come through, by question and answer."""

    def __init__(self) -> None:
        self.places: dict[tuple[int, bytes], int] = {}
        self._fields: dict[str, list[torch.Tensor]] = {name: [] for name in RECORDED}
        self._all: dict[str, torch.Tensor] = {}
        self.vocab_size = 0

    def keep(self, questions: list[int], answers: torch.Tensor, record: RecordedProposal) -> None:
        """Keep the records of some states."""
        for question, answer in zip(questions, answers, strict=True):
            self.places[question, answer.numpy().tobytes()] = len(self.places)
        for name, found in self._fields.items():
            found.append(getattr(record, name).cpu())
        self.vocab_size = record.vocab_size

    def of(self, questions: list[int], answers: torch.Tensor, device: torch.device) -> RecordedProposal:
        """The records of some states, on a device."""
        self._all = self._all or {name: torch.cat(found) for name, found in self._fields.items()}
        keys = [answer.tobytes() for answer in answers.numpy()]
        places = torch.tensor([self.places[question, key] for question, key in zip(questions, keys, strict=True)])
        # Behind the pass in the stream, so that nothing is decided before it is done.
        fields = {name: sent(values[places], device) for name, values in self._all.items()}
        return RecordedProposal(**fields, vocab_size=self.vocab_size)


class NumberedReader(StateReader):
    """A reader that knows which question each of its prompts is of."""

    numbers: dict[_Prompt, int]
    decisions: Decisions

    def __init__(self, model: Any, input_ids: torch.Tensor, attention_mask: Any, **options: Any) -> None:
        super().__init__(model, input_ids, attention_mask, **options)
        real = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        pairs = zip(input_ids.cpu(), real.cpu().bool(), strict=True)
        self._questions = [self.numbers[tuple(ids[kept].tolist())] for ids, kept in pairs]

    def questions(self, prompts: torch.Tensor) -> list[int]:
        """Of each state."""
        return [self._questions[prompt] for prompt in prompts.tolist()]


class LearningReader(NumberedReader):
    """The reference model, which is listened to."""

    def read(self, prompts: torch.Tensor, answers: torch.Tensor, length: int | None = None) -> RecordedProposal:
        record = super().read(prompts, answers, length)
        self.decisions.keep(self.questions(prompts), answers, record)
        return record


class LargeReader(NumberedReader):
    """The large model; between its batches the usual style takes its turn."""

    measured: Measured

    def read(self, prompts: torch.Tensor, answers: torch.Tensor, length: int | None = None) -> RecordedProposal:
        self.measured.before_batch(self, prompts, answers)
        super().read(prompts, answers, length)
        return self.decisions.of(self.questions(prompts), answers, self._prompts.device)

    def usual_ids(self, prompt: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
        """A state without padding, (1, tokens)."""
        ids = self._prompts[prompt] if self._mask is None else self._prompts[prompt][self._mask[prompt].bool()]
        return torch.cat([ids, answer.to(ids.device)])[None]


class Large:
    """The large model as the engine takes it."""

    name, default_temperature, has_weights, concurrent = "large", 0.0, True, False

    def __init__(self, network: Any, reference: HubModel) -> None:
        self.network, self._reference = network, reference

    def for_task(self, rows: Any, max_new_tokens: int, seed: int = 0) -> TaskModel:
        """The network with the reference's tokenizer and mask token."""
        prepared = self._reference.for_task(rows, max_new_tokens, seed)
        return TaskModel(self.network, prepared.tokenizer, self.network.device, mask_token_id=mask_of(prepared))


def mask_of(prepared: TaskModel) -> int:
    """The mask token of a model."""
    found = prepared.model.mask_token_id if prepared.mask_token_id is None else prepared.mask_token_id
    return int(found)


class Measured:
    """What is measured while the engine goes on.

    Attributes:
        usual: seconds of each pass in the usual style.
        elsewhere: seconds that the engine stood still for it.
        sizes: states of a batch → how many batches.
        lengths: tokens of a row, prompt and answer → states.
        passes: every so many of the batches, to be run bare.
    """

    def __init__(self, network: Any, mask_token_id: int) -> None:
        self.network, self.mask_token_id = network, mask_token_id
        self.usual: list[float] = []
        self.elsewhere = 0.0
        self.sizes: Counter[int] = Counter()
        self.lengths: Counter[int] = Counter()
        self.passes: list[Pass] = []
        self._batches, self._calls = 0, 0
        network.register_forward_pre_hook(self._note, with_kwargs=True)

    def before_batch(self, reader: LargeReader, prompts: torch.Tensor, answers: torch.Tensor) -> None:
        """Now and then, the usual style on some of the states that are about to go through the model."""
        self._batches += 1
        self.sizes[len(prompts)] += 1
        if self._batches % _EVERY != 1:
            return
        # What the engine has in hand is its own time.
        synchronise(self.network)
        began = time.perf_counter()
        for number in range(min(_PORTION, len(prompts))):
            ids = reader.usual_ids(prompts[-1 - number], answers[-1 - number])
            self.usual.append(usual_pass(self.network, ids, self.mask_token_id))
        self.elsewhere += time.perf_counter() - began

    def _note(self, network: Any, arguments: Any, options: Any) -> None:
        if "logits_to_keep" not in options:
            return
        self._calls += 1
        ids = arguments[0] if arguments else options["input_ids"]
        self.lengths[ids.shape[1]] += len(ids)
        if self._calls % 4 == 0:
            self.passes.append(Pass(ids, {name: value for name, value in options.items() if name != "input_ids"}))


def synchronise(network: Any) -> None:
    """Wait for the GPU."""
    if network.device.type == "cuda":
        torch.cuda.synchronize()


@torch.no_grad()
def usual_pass(network: Any, ids: torch.Tensor, mask_token_id: int, k: int = 1) -> float:
    """Seconds of one step in the usual style: batch 1, all logits, a float64 softmax over them, top-k."""
    ids = ids.clone()
    synchronise(network)
    began = time.perf_counter()
    logits = network.eager(ids).logits
    tokens = logits.argmax(dim=-1)
    probabilities = torch.softmax(logits.to(torch.float64), dim=-1)
    confidence = probabilities.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    confidence = confidence.masked_fill(ids != mask_token_id, -torch.inf)
    _, chosen = torch.topk(confidence[0], k)
    ids[0, chosen] = tokens[0, chosen]
    # The loop looks whether anything is left.
    (ids == mask_token_id).any().item()
    return time.perf_counter() - began


@torch.no_grad()
def bare(network: Any, passes: list[Pass]) -> tuple[float, int]:
    """Seconds of the very same passes without anything around them, and their rows."""
    for one in passes[:2]:
        network(one.ids, **one.options)
    synchronise(network)
    began = time.perf_counter()
    for one in passes:
        network(one.ids, **one.options)
    synchronise(network)
    return time.perf_counter() - began, sum(len(one.ids) for one in passes)


class Counts:
    """States that settings came through, and those that went through the model."""

    def __init__(self) -> None:
        self.states = self.passes = 0

    def add(self, states: int, passes: int) -> None:
        """As `AnswerOptions.counted`."""
        self.states += states
        self.passes += passes


def answered(model: Any, rows: Any, methods: list[Method], new: int, batch_size: int | None) -> Counts:
    """What it takes to answer some questions of a task under all methods."""
    counts = Counts()
    options = AnswerOptions(new, counted=counts.add, batch_size=batch_size)
    for _ in LogitsWorker(model).answers(rows, methods, options):
        pass
    return counts


class Sweep:
    """The questions of a task on both models.

    Args:
        network: the large one.
        reference: says what is decided.
        methods: of the grid.
        new: tokens of an answer.
        batch_size: states of a pass, at most.
        reader: how the large one is read.
    """

    def __init__(
        self,
        network: Any,
        reference: HubModel,
        methods: list[Method],
        new: int,
        batch_size: int,
        reader: type[NumberedReader] = LargeReader,
    ) -> None:
        self.network, self.reference, self.methods = network, reference, methods
        self.new, self.batch_size, self.reader = new, batch_size, reader
        #: Called when the large model's turn comes.
        self.before: Callable[[], Any] = lambda: None
        self.mask_token_id = mask_of(reference.for_task([], new))
        self.measured = Measured(network, self.mask_token_id)

    def run(self, task: str, questions: int, methods: list[Method] | None = None) -> tuple[Counts, float]:
        """Ask both models; returns what came through the large one, and the seconds that it took."""
        import samplers

        rows = hub_dataset.build_rows(task)[:questions]
        methods, decisions, tokenize = methods or self.methods, Decisions(), rows_module.tokenize_prompts
        prompts = tokenize(self.reference.tokenizer, rows, self.reference.chat_options)
        share = min(1.0, PROMPT / statistics.mean(map(len, prompts)))
        # The question stands at the end.
        cut = [prompt[-max(1, round(share * len(prompt))) :] for prompt in prompts]
        kept = samplers.StateReader
        try:
            LearningReader.decisions = self.reader.decisions = decisions
            LearningReader.numbers = {tuple(prompt): number for number, prompt in enumerate(prompts)}
            samplers.StateReader = LearningReader
            answered(self.reference, rows, methods, self.new, None)
            self.reader.numbers = {tuple(prompt): number for number, prompt in enumerate(cut)}
            LargeReader.measured = self.measured
            samplers.StateReader = self.reader
            rows_module.tokenize_prompts = lambda *unused: cut
            synchronise(self.network)
            self.before()
            before, began = self.measured.elsewhere, time.perf_counter()
            counts = answered(Large(self.network, self.reference), rows, methods, self.new, self.batch_size)
            synchronise(self.network)
            return counts, time.perf_counter() - began - (self.measured.elsewhere - before)
        finally:
            samplers.StateReader, rows_module.tokenize_prompts = kept, tokenize

    @torch.no_grad()
    def warm_up(self) -> None:
        """Both styles before anything counts, in all shapes that are to come."""
        device = self.network.device
        for rows, length in ((self.batch_size, 176), (2, 208), (17, 192), (self.batch_size - 3, 160)):
            ids = torch.randint(3, 60, (rows, length + self.new), device=device)
            mask = torch.ones_like(ids)
            mask[:, :5] = 0
            kept = torch.stack(torch.ones(rows, length + self.new).nonzero()[:: self.new].unbind(1)).to(device)
            for hidden in (mask, None):
                self.network(ids, attention_mask=hidden, logits_to_keep=kept)
        for _ in range(_WARM):
            usual_pass(self.network, ids[:1].clone(), self.mask_token_id)
        synchronise(self.network)


def report(counts: Counts, seconds: float, sweep: Sweep) -> None:
    """What came out, over all tasks."""
    measured, new = sweep.measured, sweep.new
    usual = statistics.median(measured.usual)
    print(
        f"  usual style: {1e3 * min(measured.usual):.2f} ms at its fastest, median {1e3 * usual:.2f} ms, slowest "
        f"{1e3 * max(measured.usual):.2f} ms of {len(measured.usual)} passes, in turns with the engine",
        flush=True,
    )
    batches = sum(measured.sizes.values())
    bounds = [1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 256]
    sizes = {
        upto: sum(n for size, n in measured.sizes.items() if low < size <= upto) for low, upto in pairwise([0, *bounds])
    }
    shown = ", ".join(f"{n} up to {upto}" for upto, n in sizes.items() if n)
    print(f"  {batches} batches of {counts.passes / batches:.1f} states: {shown}", flush=True)
    states = sum(measured.lengths.values())
    tokens = sum(length * n for length, n in measured.lengths.items()) / states
    print(f"  {tokens:.0f} tokens a row, {new} of them new; {states:,} rows for {counts.passes:,} states", flush=True)
    taken, rows = bare(sweep.network, measured.passes)
    each = seconds / counts.passes
    print(
        f"  ours {1e3 * each:.2f} ms a distinct state; the same passes bare {1e3 * taken / rows:.2f} ms a row; "
        f"loop over bare {each / (taken / rows):.3f}",
        flush=True,
    )
    for name, one in (("median", usual), ("fastest", min(measured.usual))):
        print(
            f"  {name} usual {counts.states * one:,.0f} s over ours {seconds:,.1f} s = "
            f"{counts.states * one / seconds:.1f} ({counts.states / counts.passes:.2f} by sharing, "
            f"{one / each:.2f} by the pass)",
            flush=True,
        )
    hours = PASSES_OF_THE_PAPER / 3600
    print(
        f"  the paper's grid, {PASSES_OF_THE_PAPER:,.0f} passes as long as these: {hours * usual:.1f} h in the usual "
        f"style, {hours * seconds / counts.states:.2f} h here",
        flush=True,
    )


@torch.no_grad()
def time_quantised(network: Any, recipe: str, rows: int, new: int) -> None:
    """A pass of full batches before and after the weights are in 8 bits, in place."""
    from torchao.quantization import quantize_

    from benchmark.models.quantization import quantization_config

    ids = torch.randint(3, 60, (rows, PROMPT + new), device=network.device)
    kept = torch.stack(torch.ones(rows, PROMPT + new).nonzero()[::12].unbind(1)).to(network.device)
    for name in ("as it is", recipe):
        if name == recipe:
            quantize_(network.model.layers, quantization_config(recipe).get_apply_tensor_subclass())
            torch.compiler.reset()
        times = []
        for _ in range(8):
            synchronise(network)
            began = time.perf_counter()
            network(ids, logits_to_keep=kept)
            synchronise(network)
            times.append(time.perf_counter() - began)
        print(f"  {name}: {1e3 * min(times) / rows:.2f} ms a row at batch {rows}", flush=True)
