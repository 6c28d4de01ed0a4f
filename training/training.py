"""The training loop, which can stop after any step and go on from its checkpoint."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hub_dataset.disk import only_one_process, write_atomically

from .batches import BatchMaker, BatchShape, Group, batches_ahead
from .checkpoints import find_checkpoints, load_checkpoint, save_checkpoint, step_of
from .defaults import DECAY, LEARNING_RATE, STEPS, WARMUP
from .export import export_model
from .model import ModelConfig, ReferenceModel
from .passes import CapturedPasses, Passes

LOG = "training_log.jsonl"
# What the optimizers remember of each parameter.
_MOMENTS = ("exp_avg_sq", "exp_avg", "momentum_buffer")


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """What the trained weights depend on.

    Matrices inside the layers are trained by Muon (https://kellerjordan.github.io/posts/muon), with updates as large as
    AdamW's (arXiv 2502.16982), everything else by AdamW; both use one learning rate. With AdamW alone it took three
    times as many steps to the same loss. The rate rises for `warmup` steps, stays, and falls in a straight line to 0
    over the last `decay` steps (arXiv 2405.18392). Until it falls nothing depends on `steps` and `decay`, so they may
    be changed until then.

    Raises:
        ValueError: the schedule does not fit into the steps.
    """

    steps: int = STEPS
    decay: int = DECAY
    learning_rate: float = LEARNING_RATE
    warmup: int = WARMUP
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1
    clip: float = 1.0
    seed: int = 0
    shape: BatchShape = field(default_factory=BatchShape)
    model: ModelConfig = field(default_factory=ModelConfig)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"{self.steps} steps: give at least 1")
        if not 0 <= self.decay <= self.steps or self.warmup < 0:
            raise ValueError(
                f"{self.warmup} steps of warm-up and {self.decay} of decay do not fit into {self.steps}: give at least "
                "0 of each, and no more decay than steps"
            )

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        rising = (step + 1) / self.warmup if step < self.warmup else 1.0
        falling = (self.steps - step) / self.decay if step >= self.falls_at else 1.0
        return self.learning_rate * min(rising, falling)

    @property
    def falls_at(self) -> int:
        """The first step at which the learning rate is falling."""
        return self.steps - self.decay


@dataclass(frozen=True, slots=True)
class Piece:
    """How one piece of a training run is carried out.

    None of it changes the weights: on a CPU bit for bit, on a GPU but for the rounding of sums.

    Attributes:
        minutes: stop, with a checkpoint, after so many; None means to train to the end.
        steps: stop, with a checkpoint, after so many steps of this piece.
        checkpoint_every: steps between checkpoints; 0 writes one where the piece stops, and no other.
        workers: processes that make batches.
        log_every: steps between two lines of the log.
    """

    device: str = "cpu"
    minutes: float | None = None
    steps: int | None = None
    checkpoint_every: int = 0
    workers: int = 0
    log_every: int = 100


class Trainer:
    """One training run and its state.

    Args:
        config: of the run.
        directory: with the tokenizer; where the trained model is written.
        output: where log and checkpoints are written. Training goes on from the latest checkpoint there.
        piece: how this piece of it is carried out.
    """

    def __init__(self, config: TrainingConfig, directory: Path, output: Path, piece: Piece) -> None:
        self.config, self.directory, self.output, self.piece = config, directory, output, piece
        self.device = torch.device(piece.device)
        self.on_gpu = self.device.type == "cuda"
        self.model = ReferenceModel(config.model, config.seed).to(self.device)
        self.optimizers = _optimizers(self.model, config)
        name = torch.cuda.get_device_name(self.device) if self.on_gpu else "CPU"
        self._place = {"device": name, "torch": torch.__version__}
        self.step = 0
        self.seconds = 0.0
        output.mkdir(parents=True, exist_ok=True)
        self._catch_up()
        self._passes = CapturedPasses(self.model, torch.bfloat16) if self.on_gpu else Passes(self.model, torch.float32)

    def run(self, report: Callable[[str], None] = print) -> bool:
        """Train until the end or the end of the piece, and write a checkpoint; returns whether the run is complete.

        At its end the model is exported.

        Raises:
            ValueError: another process trains into the same output directory, or the loss is not finite.
        """
        with only_one_process(self.output / "lock", f"{self.output}: another process is training into this directory"):
            # Another process may have trained further in the meantime.
            self._catch_up()
            cut_log(self.output / LOG, self.step)
            return self._run(report)

    def _run(self, report: Callable[[str], None]) -> bool:
        config, piece = self.config, self.piece
        last = config.steps if piece.steps is None else min(config.steps, self.step + piece.steps)
        begin, base, waited = time.monotonic(), self.seconds, 0.0
        names = BatchMaker(self.directory, config.shape, config.seed).mixture.names
        logged, logged_at = self.step, begin
        self._write({"begins_at": self.step, "config": asdict(config), **self._place})
        with batches_ahead(
            self.directory, config.shape, config.seed, self.step, last, workers=piece.workers, folder=self.output
        ) as batches:
            while self.step < last:
                asked = time.monotonic()
                groups = next(batches)
                waited += time.monotonic() - asked
                logging = (self.step + 1) % piece.log_every == 0 or self.step + 1 == last
                loss, by_task = self._train(groups, logging, len(names))
                self.step += 1
                if logging:
                    value = float(loss)
                    if not math.isfinite(value):
                        raise ValueError(f"step {self.step}: the loss is {value}; try a lower learning rate")
                    now = time.monotonic()
                    self.seconds = base + now - begin
                    self._log(
                        report,
                        value,
                        speed=(self.step - logged) / (now - logged_at),
                        waiting=waited / (now - logged_at),
                        by_task=dict(zip(names, by_task, strict=True)),
                    )
                    logged, logged_at, waited = self.step, now, 0.0
                    if piece.minutes is not None and now - begin > piece.minutes * 60:
                        break
                if piece.checkpoint_every and self.step % piece.checkpoint_every == 0 and self.step < config.steps:
                    self.seconds = base + time.monotonic() - begin
                    self._save()
        self.seconds = base + time.monotonic() - begin
        complete = self.step == config.steps
        self._save()
        if complete:
            export_model(self.model.state_dict(), config.model, self.directory)
            shutil.copyfile(self.output / LOG, self.directory / LOG)
        return complete

    def _train(self, groups: list[Group], logging: bool, tasks: int) -> tuple[Tensor, list[float]]:
        """One step; the mean loss over all masked tokens, and by task where it is to be logged."""
        for optimizer in self.optimizers:
            for parameters in optimizer.param_groups:
                parameters["lr"] = self.config.rate(self.step)
        masked_tokens = sum(len(group.positions) for group in groups)
        total = torch.zeros((), device=self.device)
        by_task = torch.zeros(2, tasks, device=self.device)
        for group in groups:
            losses = self._passes(group, masked_tokens)
            total += losses.sum()
            if logging:
                self._add_by_task(by_task, losses * masked_tokens, group)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
        means = (by_task[0] / by_task[1]).tolist() if logging else []
        return total, means

    def _add_by_task(self, by_task: Tensor, losses: Tensor, group: Group) -> None:
        """Add the losses of the answers' masked tokens, and their number, to those of their tasks."""
        first = int((group.positions < group.prompts.size).sum())
        rows = (group.positions[first:] - group.prompts.size) // group.windows[0].size
        tasks = self._passes.to_device(group.tasks[rows])
        by_task[0].index_add_(0, tasks, losses[first : len(group.positions)])
        by_task[1] += torch.bincount(tasks, minlength=by_task.shape[1])

    def _log(
        self, report: Callable[[str], None], loss: float, *, speed: float, waiting: float, by_task: dict[str, float]
    ) -> None:
        """One line for the log and one for the user: `speed` in steps per second, `waiting` the share of time in which
        there was no batch yet."""
        config = self.config
        entry = {
            "step": self.step,
            "loss": round(loss, 5),
            "learning_rate": round(config.rate(self.step - 1), 7),
            "seconds": round(self.seconds, 1),
            "prompts_per_second": round(speed * config.shape.prompts),
            "waiting": round(waiting, 3),
            "loss_by_task": {name: round(value, 4) for name, value in by_task.items() if math.isfinite(value)},
        }
        self._write(entry)
        left = (config.steps - self.step) / speed if speed else 0.0
        report(
            f"step {self.step}/{config.steps}  loss {loss:.4f}  {entry['prompts_per_second']} prompts/s "
            f"({waiting:.0%} waiting for batches)  {self.seconds:.0f} s, {left:.0f} s to go"
        )

    def _write(self, entry: dict[str, Any]) -> None:
        with (self.output / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def _save(self) -> None:
        tensors: dict[str, Tensor] = dict(self.model.named_parameters())
        if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
            raise ValueError(f"step {self.step}: the weights are not finite; try a lower learning rate")
        for optimizer, name, parameter in self._optimized():
            state = optimizer.state[parameter]
            tensors |= {f"{moment}.{name}": state[moment] for moment in _MOMENTS if moment in state}
        save_checkpoint(self.output, self.step, tensors, {"config": asdict(self.config), "seconds": self.seconds})

    def _catch_up(self) -> None:
        """Load the latest checkpoint, unless this run is at its step already."""
        checkpoints = find_checkpoints(self.output)
        if checkpoints and step_of(checkpoints[-1]) != self.step:
            self._restore(checkpoints[-1])

    def _restore(self, path: Path) -> None:
        tensors, facts = load_checkpoint(path)
        config, was = json.loads(json.dumps(asdict(self.config))), facts["config"]
        plan = ("steps", "decay")
        if facts["step"] <= min(self.config.falls_at, was["steps"] - was["decay"]):
            config, was = ({k: v for k, v in one.items() if k not in plan} for one in (config, was))
        for key, value in config.items():
            if was.get(key) != value:
                raise ValueError(
                    f"{path} was trained with {key}={was.get(key)!r}, not {value!r}; "
                    "give the same settings, or another output directory"
                )
        self.step, self.seconds = facts["step"], facts["seconds"]
        with torch.no_grad():
            for optimizer, name, parameter in self._optimized():
                parameter.copy_(tensors[name])
                state: dict[str, Any] = optimizer.state[parameter]
                for moment in _MOMENTS:
                    if f"{moment}.{name}" in tensors:
                        state[moment] = tensors[f"{moment}.{name}"].to(self.device)
                if isinstance(optimizer, torch.optim.AdamW):
                    state["step"] = torch.tensor(float(self.step), device=self.device if self.on_gpu else "cpu")

    def _optimized(self) -> Iterator[tuple[torch.optim.Optimizer, str, Tensor]]:
        """Every parameter with its name and the optimizer that trains it."""
        names = {parameter: name for name, parameter in self.model.named_parameters()}
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    yield optimizer, names[parameter], parameter


def _optimizers(model: ReferenceModel, config: TrainingConfig) -> list[torch.optim.Optimizer]:
    if not hasattr(torch.optim, "Muon"):
        raise ValueError(f"torch {torch.__version__} has no Muon optimizer; training needs torch 2.9 or newer")
    inside = [parameter for parameter in model.model.layers.parameters() if parameter.dim() == 2]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    embedding = model.model.embed_tokens.weight
    return [
        torch.optim.Muon(
            inside,
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(
            [
                {"params": [embedding], "weight_decay": config.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=config.learning_rate,
            betas=config.betas,
            fused=embedding.is_cuda,
        ),
    ]


def export_checkpoint(output: Path, directory: Path) -> int:
    """Export the latest checkpoint of a run that is not complete, with its log; returns its step.

    Raises:
        ValueError: there is no checkpoint.
    """
    checkpoints = find_checkpoints(output)
    if not checkpoints:
        raise ValueError(f"{output}: there is no checkpoint")
    tensors, facts = load_checkpoint(checkpoints[-1])
    weights = {name: tensor for name, tensor in tensors.items() if not name.startswith(_MOMENTS)}
    export_model(weights, ModelConfig(**facts["config"]["model"]), directory)
    shutil.copyfile(output / LOG, directory / LOG)
    step: int = facts["step"]
    return step


def read_log(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines of a log with which pieces of the run begin, and those of its steps."""
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [entry for entry in entries if "config" in entry], [entry for entry in entries if "loss" in entry]


def cut_log(path: Path, step: int) -> None:
    """Drop what a log says of later steps than `step`, and a line that a killed process left unfinished."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(json.JSONDecodeError):
            entry = json.loads(line)
            if entry.get("step", 0) <= step:
                kept.append(line)
    write_atomically(path, "".join(f"{line}\n" for line in kept).encode())
